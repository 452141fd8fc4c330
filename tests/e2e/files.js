// node files.js: an HTTP server on a free port. GET answers with a body in chunks, PUT with its sum.
const crypto = require('crypto');
const http = require('http');
const server = http.createServer((request, response) => {
  if (request.method === 'PUT') {
    const sum = crypto.createHash('sha256');
    request.on('data', (part) => sum.update(part));
    request.on('end', () => response.end(sum.digest('hex')));
    return;
  }
  response.setHeader('Trailer', 'X-Sum');
  response.write('first ');
  response.write('second');
  response.addTrailers({ 'X-Sum': '12' });
  response.end();
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
