// Requests to the server's JSON interface (docs/protocol.md), and their refusals as errors.

import { stopOfRefusal } from './core/endings.js';

/** How long an answer may take, milliseconds; a password takes the server a moment. */
const ANSWER_MS = 15_000;

/** @typedef {{title?: string, detail?: string, code?: string, field?: string, retryAfter?: number}} Problem after RFC 9457 */

/** The server refused; `status` 0 says that no answer came. */
export class ApiError extends Error {
  /** @param {number} status @param {Problem} problem */
  constructor(status, problem) {
    super(problem.detail || problem.title || 'The server cannot be reached.');
    this.status = status;
    this.code = problem.code ?? (status ? 'unknown' : 'unreachable');
    this.field = problem.field;
    this.retryAfterMs = problem.retryAfter === undefined ? undefined : problem.retryAfter * 1000;
  }

  /** Whether the same request may work later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The requests of one page: it belongs to one account, or to nobody who is signed in. */
export class Api {
  #base;
  /** @type {Record<string, string>} */
  #headers;
  #stopped;
  /** Told with each answer what time it was at the server. @type {(at: number) => void} */
  heardTime = () => {};
  #silent;

  /**
   * @param {string} [base] the server's origin and path prefix; '' for the page's own
   * @param {string} [user] whose page it is: the server does nothing where the login is another's
   * @param {(reason: string) => void} [stopped] told when the login ended, or is another's; the request is refused too
   * @param {() => void} [silent] told when no answer came: whoever keeps the connection may want to know
   */
  constructor(base = '', user = '', stopped = () => {}, silent = () => {}) {
    this.#base = base;
    this.#silent = silent;
    this.#headers = user ? { 'X-Chat-User': user } : {};
    this.#stopped = stopped;
  }

  /**
   * @param {string} method
   * @param {string} path begins with a slash
   * @param {object} [body] sent as JSON
   * @param {{signal?: AbortSignal}} [limits] `signal`: who asks bounds the time
   * @returns {Promise<any>} the answer's JSON, or null when it has none
   * @throws {ApiError} when the server refuses, or does not answer in time
   */
  async request(method, path, body, { signal } = {}) {
    /** @type {Response} */
    let response;
    let answer;
    try {
      response = await fetch(this.#base + path, {
        method,
        credentials: 'include',
        cache: 'no-store',
        headers: body ? { ...this.#headers, 'Content-Type': 'application/json' } : this.#headers,
        body: body && JSON.stringify(body),
        signal: signal ?? AbortSignal.timeout(ANSWER_MS),
      });
      const date = Date.parse(response.headers.get('Date') ?? '');
      if (date) this.heardTime(date);
      answer = response.status === 204 ? null : await response.json();
    } catch {
      if (!signal) this.#silent();
      throw new ApiError(0, {});
    }
    if (response.ok) return answer;
    const error = new ApiError(response.status, answer ?? {});
    const reason = stopOfRefusal(error);
    if (reason) this.#stopped(reason);
    throw error;
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
