// node deflate.js URL LENGTH: sends a compressed text of that length over a websocket (the `ws` package)
// and prints, once it came back: what was agreed, and how many bytes that took on the wire.
const WebSocket = require('ws');
const [url, length] = process.argv.slice(2);
const text = 'x'.repeat(Number(length));
const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0 }, maxPayload: 0 });
socket.on('open', () => socket.send(text));
socket.on('message', (data) => {
  const { bytesRead, bytesWritten } = socket._socket;
  const same = data.toString() === text;
  console.log(JSON.stringify({ same, extensions: socket.extensions, bytesRead, bytesWritten }));
  socket.close(1000);
});
socket.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(2);
});
