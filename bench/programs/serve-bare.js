import { createServer } from 'node:http'

/** Reads and discards what comes, until standard input ends. */
const server = createServer((request, response) => {
  request.resume().once('end', () => response.writeHead(200).end())
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
process.stdin.resume().once('end', () => server.close().closeAllConnections())
