// Requests to the server's JSON interface (docs/protocol.md), and their refusals as errors.

/** How long an answer may take, milliseconds; a password takes the server a moment. */
const ANSWER_MS = 15_000;

/** The server refused; `status` 0 says that no answer came. */
export class ApiError extends Error {
  /** @param {number} status @param {any} problem a problem detail after RFC 9457 */
  constructor(status, problem) {
    super(problem.detail || problem.title || 'The server cannot be reached.');
    this.status = status;
    /** @type {string} */
    this.code = problem.code ?? (status ? 'unknown' : 'unreachable');
    /** @type {string | undefined} */
    this.field = problem.field;
    /** @type {number | undefined} */
    this.retryAfterMs = problem.retryAfter === undefined ? undefined : problem.retryAfter * 1000;
  }

  /** Whether the same request may work later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #base;

  /** @param {string} [base] the server's origin and path prefix; '' for the page's own */
  constructor(base = '') {
    this.#base = base;
  }

  /**
   * @param {string} method
   * @param {string} path begins with a slash
   * @param {object} [body] sent as JSON
   * @param {boolean} [keepalive] let it finish though the page goes away
   * @returns {Promise<any>} the answer's JSON, or null when it has none
   * @throws {ApiError} when the server refuses, or does not answer in time
   */
  async request(method, path, body, keepalive = false) {
    /** @type {Response} */
    let response;
    let answer;
    try {
      response = await fetch(this.#base + path, {
        method,
        keepalive,
        credentials: 'same-origin',
        cache: 'no-store',
        headers: body ? { 'Content-Type': 'application/json' } : {},
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      answer = response.status === 204 ? null : await response.json();
    } catch {
      throw new ApiError(0, {});
    }
    if (!response.ok) throw new ApiError(response.status, answer ?? {});
    return answer;
  }

  /** @param {string} path */
  get(path) {
    return this.request('GET', path);
  }

  /** @param {string} path @param {object} [body] */
  post(path, body = {}) {
    return this.request('POST', path, body);
  }

  /** @param {string} path @param {object} [body] */
  put(path, body = {}) {
    return this.request('PUT', path, body);
  }

  /** @param {string} path @param {object} body */
  patch(path, body) {
    return this.request('PATCH', path, body);
  }

  /** @param {string} path @param {object} [body] */
  delete(path, body) {
    return this.request('DELETE', path, body);
  }
}
