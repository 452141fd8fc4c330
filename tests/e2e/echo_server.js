// node echo_server.js: a websocket server (the `ws` package) on a free port that compresses whatever it
// may. Echoes; to a client that asks "wire" it tells what was agreed and how many bytes it has read.
const { WebSocketServer } = require('ws');
const server = new WebSocketServer(
  { host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 } },
  () => console.log(`listening on ${server.address().port}`),
);
server.on('connection', (socket, request) => {
  socket.on('message', (data, binary) => {
    if (!binary && data.toString() === 'wire') {
      const { bytesRead } = request.socket;
      socket.send(JSON.stringify({ extensions: socket.extensions, bytesRead }));
    } else {
      socket.send(data, { binary });
    }
  });
  socket.on('close', (code) => console.log(`closed ${code}`));
});
