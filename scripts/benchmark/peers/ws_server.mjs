// `ws` on Node: the loop over the clients of a room that its documentation shows.
import { WebSocketServer, WebSocket } from "ws";

const rooms = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 4096 });
server.on("listening", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
server.on("connection", (socket, request) => {
  const room = new URL(request.url, "http://localhost").searchParams.get("room") ?? "0";
  if (!rooms.has(room)) rooms.set(room, new Set());
  const members = rooms.get(room).add(socket);
  socket.on("error", () => socket.terminate());
  socket.on("close", () => members.delete(socket));
  socket.on("message", (message) => {
    for (const member of members)
      if (member.readyState === WebSocket.OPEN) member.send(message, { binary: false });
  });
});
