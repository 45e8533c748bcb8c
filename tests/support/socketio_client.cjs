// A Socket.IO client of the official library: `node socketio_client.cjs FOLDER PACKAGE URL OPTIONS`. It says on stdout what
// happens, a JSON line each, and does what stdin says: {"emit": name, "data": …} or {"drop": true}.
'use strict';
const [folder, name, url, written] = process.argv.slice(2);
const library = require(require.resolve(name, { paths: [folder] }));
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const options = JSON.parse(written);
const auth = options.auth ?? {};
let cursor = auth.after;
const connect = library.io ?? library;
const socket = connect(url, {
  reconnectionDelay: 20,
  reconnectionDelayMax: 50,
  ...options,
  auth: (give) => give({ ...auth, after: cursor }),
});
const heard = (event, data) => {
  cursor = data.seq ?? cursor;
  say({ event, data });
};
if (socket.onAny) socket.onAny(heard);
socket.io.on('open', () => {
  socket.io.engine.once('upgrade', ({ name: transport }) => say({ event: 'upgrade', data: { transport } }));
});
socket.on('connect', () => say({ event: 'connect', data: { transport: socket.io.engine.transport.name } }));
socket.on('disconnect', (reason) => say({ event: 'disconnect', data: { reason, active: socket.active } }));
socket.on('connect_error', (error) => {
  say({ event: 'connect_error', data: { message: error.message, data: error.data, active: socket.active } });
});
require('node:readline')
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { emit, data, drop } = JSON.parse(line);
    if (drop) socket.io.engine.close();
    if (emit) socket.emit(emit, data, (answer) => say({ event: 'answer', data: answer }));
  })
  .on('close', () => process.exit(0));
