// Where a reader is opened: the same words in the query on every transport.

/**
 * @param {string} path
 * @param {import('../core/types.js').TransportOptions} options
 * @param {number | null} [cursor] where to go on; null: at the present
 */
export function readerUrl(path, { base, client, user, cursor: start }, cursor = start) {
  const url = new URL(base + path, location.href);
  url.searchParams.set('client', client);
  if (user) url.searchParams.set('user', user);
  if (cursor !== null) url.searchParams.set('after', String(cursor));
  return url;
}
