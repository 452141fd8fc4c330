// node echo.js URL TEXT [HOST]: sends TEXT over a websocket (the `ws` package) and prints the echo.
const WebSocket = require('ws');
const [url, text, host] = process.argv.slice(2);
const socket = new WebSocket(url, host ? { headers: { Host: host } } : {});
socket.on('open', () => socket.send(text));
socket.on('message', (data) => {
  process.stdout.write(data.toString());
  socket.close(1000);
});
socket.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(2);
});
