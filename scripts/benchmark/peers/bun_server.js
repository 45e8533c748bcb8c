// Bun's WebSocket publish (µWebSockets underneath): a topic a room, the sender among its subscribers.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const room = new URL(request.url).searchParams.get("room") ?? "0";
    if (!server.upgrade(request, { data: { room } })) return new Response("", { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0,
    open(socket) {
      socket.subscribe(socket.data.room);
    },
    message(socket, text) {
      server.publish(socket.data.room, text);
    },
  },
});
console.log(`listening on http://127.0.0.1:${server.port}`);
