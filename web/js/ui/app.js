// The page's frame: who is signed in, which view is shown, the navigation, the title.

import { Api, ApiError } from '../api.js';
import { homeView, loginView, registerView } from './account.js';
import { chatView } from './chat.js';
import { h, say } from './dom.js';
import { friendsView } from './friends.js';
import { Model } from './model.js';
import { profileView } from './profile.js';

/**
 * @typedef {object} App
 * @property {Api} api
 * @property {Model | null} model null: signed out
 * @property {(user: import('../core/types.js').User) => void} signedIn
 * @property {() => void} signedOut
 * @property {string} words what the sign-in form says first
 */

/** @typedef {(app: App, model: Model, part: string) => {element: HTMLElement, close?: () => void}} View */

const NAME = "Friends' chat";
const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const nav = /** @type {HTMLElement} */ (document.getElementById('nav'));

/** @type {Map<string, {title: string, view: View, signedIn: boolean | null}>} */
const ROUTES = new Map([
  ['home', { title: 'Home', view: homeView, signedIn: null }],
  ['register', { title: 'Register', view: registerView, signedIn: false }],
  ['login', { title: 'Login', view: loginView, signedIn: false }],
  ['chat', { title: 'Chat', view: chatView, signedIn: true }],
  ['friends', { title: 'Find friends', view: friendsView, signedIn: true }],
  ['profile', { title: 'Profile', view: profileView, signedIn: true }],
]);

/** @type {(() => void) | undefined} */
let closeView;
/** Where to go after the sign-in that was asked for. */
let wanted = '';

/** @type {App} */
const app = {
  api: new Api(),
  model: null,
  words: '',
  signedIn(user) {
    begin(user);
    const target = wanted || '#/chat';
    wanted = '';
    if (location.hash === target) show();
    else location.hash = target;
  },
  signedOut() {
    app.model?.stop();
    app.model = null;
    document.title = NAME;
  },
};

/** @param {import('../core/types.js').User} user */
function begin(user) {
  const model = new Model(app.api, user);
  app.model = model;
  app.words = '';
  model.addEventListener('change', () => {
    if (app.model === model) drawFrame();
  });
  model.addEventListener('stop', (event) => {
    if (app.model !== model || /** @type {CustomEvent} */ (event).detail !== 'signed out') return;
    wanted = location.hash;
    app.signedOut();
    app.words = 'You have been signed out. What you were writing is kept: sign in to go on.';
    location.hash = '#/login';
    show();
  });
  load(model).catch(() => {});
}

/** @param {Model} model */
async function load(model) {
  for (let tries = 0; app.model === model; tries += 1) {
    try {
      await model.start();
      return;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        model.dispatchEvent(new CustomEvent('stop', { detail: 'signed out' }));
        return;
      }
      if (!tries) model.note('The server cannot be reached. Trying again.');
      await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, 1000 * 2 ** tries)));
    }
  }
}

function routeNow() {
  const [name, part = ''] = location.hash.replace(/^#\/?/, '').split('/');
  const route = ROUTES.get(name || (app.model ? 'chat' : 'home'));
  if (!route) return { name: 'home', part: '' };
  if (route.signedIn === true && !app.model) {
    wanted = location.hash;
    return { name: 'login', part: '' };
  }
  if (route.signedIn === false && app.model) return { name: 'chat', part: '' };
  return { name: name || (app.model ? 'chat' : 'home'), part: decodeURIComponent(part) };
}

function show() {
  const { name, part } = routeNow();
  const route = /** @type {NonNullable<ReturnType<typeof ROUTES.get>>} */ (ROUTES.get(name));
  closeView?.();
  const view = route.view(app, /** @type {Model} */ (app.model), part);
  closeView = view.close;
  main.replaceChildren(view.element);
  main.className = name;
  drawFrame();
  say(route.title);
  const first = main.querySelector('[data-focus]');
  if (first instanceof HTMLElement) first.focus();
  else if (document.activeElement === document.body) main.focus({ preventScroll: true });
}

let framed = '';

function drawFrame() {
  const { name } = routeNow();
  const unread = app.model?.unread ?? 0;
  const asked = app.model?.incoming.length ?? 0;
  const title = ROUTES.get(name)?.title ?? '';
  document.title = `${unread ? `(${unread}) ` : ''}${title} · ${NAME}`;
  const state = JSON.stringify([name, unread, asked, Boolean(app.model)]);
  if (state === framed) return;
  framed = state;
  const links = [];
  for (const [target, route] of ROUTES) {
    if (route.signedIn !== null && route.signedIn !== Boolean(app.model)) continue;
    const count = target === 'chat' ? unread : target === 'friends' ? asked : 0;
    links.push(h('a', { href: `#/${target}`, 'aria-current': target === name && 'page' },
      route.title, count > 0 && badge(count, target === 'chat' ? 'unread' : 'asking')));
  }
  if (app.model) links.push(h('button', { type: 'button', class: 'link', onclick: logout }, 'Logout'));
  nav.replaceChildren(...links);
}

/** @param {number} count @param {string} word */
function badge(count, word) {
  return h('span', { class: 'badge' }, count, h('span', { class: 'unseen' }, ` ${word}`));
}

async function logout() {
  try {
    await app.api.post('/api/logout');
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) {
      say('Signing out failed: the server cannot be reached.');
      return;
    }
  }
  app.signedOut();
  wanted = '';
  if (location.hash === '#/home') show();
  else location.hash = '#/home';
}

/** Whoever is signed in by the cookie; asked until there is an answer. */
async function boot() {
  main.replaceChildren(h('p', { class: 'page', role: 'status' }, 'Loading. Please wait.'));
  for (;;) {
    try {
      begin((await app.api.get('/api/me')).user);
      break;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) break;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  addEventListener('hashchange', () => {
    if (location.hash !== '#main') show();
  });
  show();
}

boot().catch((error) => {
  main.replaceChildren(h('p', { class: 'page' }, `The page could not start: ${error.message}`));
});
