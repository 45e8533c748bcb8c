// Names that nobody else draws: of a client, a tab, a message.

const BYTES = 16;

/**
 * 32 hexadecimal digits, drawn at random. `crypto.randomUUID` would be shorter, but a page that came over plain
 * http from another machine does not have it (Web Cryptography, section 10: secure contexts only).
 */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
