// The page's frame: who is signed in, which view is shown, the navigation, the title.

import { Api, ApiError } from '../api.js';
import { ANOTHER_ACCOUNT, SIGNED_OUT } from '../core/endings.js';
import { LAST_MS, forgetLast, soon } from '../last.js';
import { withoutThrowAway } from '../throwaway.js';
import { forgetAccount, lastKnown } from '../worker.js';
import { parts, t } from '../words.js';
import { NOWHERE, anotherView, homeView, loginView, registerView } from './account.js';
import { arrange, badge, clearNotice, h, notice, say } from './dom.js';
import { answerFiles } from './files.js';
import { decoded, startUntil } from './starting.js';
import { hearTime } from './time.js';
import { hearTabs, tellTabs, wasSomebody } from './whose.js';

/**
 * @typedef {import('./model.js').Model} Model
 * @typedef {object} App
 * @property {Api} api says whose page it is, from sign-in to sign-out
 * @property {Model | null} model null: signed out
 * @property {import('./beside.js').Beside | null} beside what goes on beside the views while there is a model
 * @property {(user: import('../core/types.js').User) => Promise<void>} signedIn
 * @property {(request: () => Promise<unknown>, words?: string) => Promise<void>} leave ends the login by a request of the
 *   person's own, and says these words then; rejects as that does
 * @property {() => void} signInAgain shows the form to whoever the page was of, while another is signed in
 * @property {string} words what the sign-in form, or the first page, says first
 * @property {import('../core/types.js').User | null} was whose page it was, until somebody signs in
 * @property {import('../core/types.js').User | null} here who is signed in in this browser, where the page is not theirs
 * @property {HTMLElement} offer says who that is, and offers to go on; of all views without an account
 */

/**
 * What a view gives. `move` takes it to another part of the same view, so that it need not be made again.
 * @typedef {{element: HTMLElement, close?: () => void, move?: (part: string) => void}} Placed
 * @typedef {(app: App, model: Model, part: string) => Placed} View
 */

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const nav = /** @type {HTMLElement} */ (document.getElementById('nav'));

/**
 * @typedef {object} Route
 * @property {import('../words.js').Key} title
 * @property {View} [view]
 * @property {() => Promise<View>} [load] of a view that most visits do not need: fetched when it is first shown
 * @property {boolean | null} [signedIn] for whom; null: for all; absent: no link leads there
 */

/** @type {Map<string, Route>} */
const ROUTES = new Map([
  ['home', { title: 'nav.home', view: homeView, signedIn: null }],
  ['register', { title: 'nav.register', view: registerView, signedIn: false }],
  ['login', { title: 'nav.login', view: loginView, signedIn: false }],
  ['chat', { title: 'nav.chat', load: async () => (await enter()).chatView, signedIn: true }],
  ['friends', { title: 'nav.friends', load: async () => (await import('./friends.js')).friendsView, signedIn: true }],
  ['profile', { title: 'nav.profile', load: async () => (await import('./profile.js')).profileView, signedIn: true }],
  ['another', { title: 'nav.another', view: anotherView }],
]);

/** What only the page of somebody needs: a first visit does without. */
const enter = () => import('./signed_in.js');

/** @type {{name: string, part: string, model: Model | null, placed: Placed} | null} what stands in `main` */
let shown = null;
/** @type {import('./partings.js').PartingBars | null} what is about to end, over every view */
let bars = null;
/** Counted, so that a view that was loaded too late is not shown. */
let shows = 0;
/** Where to go after the sign-in that was asked for. */
let wanted = '';
/** The browser is signed in to another account than this page is of: it shows nothing else any more. */
let ended = false;
/** The person ends this one's login: what the connection says of it is no news. @type {Model | null} */
let leaving = null;
/** Somebody has just signed in by a form, and no request has shown yet that the browser keeps the cookie. */
let untried = false;
/** Counted, so that what was fetched too late begins nothing. */
let begins = 0;
/** Questions who is signed in, counted: only the last one's answer counts. */
let looks = 0;

/** @type {App} */
const app = {
  api: new Api(),
  model: null,
  beside: null,
  words: navigator.cookieEnabled ? '' : t('login.noCookies', { host: location.host }),
  was: null,
  here: null,
  offer: h('div', { role: 'status', class: 'offer' }),
  signInAgain,
  signedIn(user) {
    untried = true;
    tellTabs(user.id);
    return goOn(user);
  },
  async leave(request, words = '') {
    const { model } = app;
    leaving = model;
    model?.hush(true);
    try {
      await request();
    } catch (error) {
      leaving = null;
      model?.hush(false);
      // The answer was lost, and the end of the login was not.
      if (model?.chat.reason !== SIGNED_OUT) throw error;
    }
    leaving = null;
    if (app.model !== model) return;
    signOut();
    app.words = words;
    wanted = '';
    tellTabs('');
    if (location.hash === '#/home') show();
    else location.hash = '#/home';
  },
};

/** The page is this user's from now on. @param {import('../core/types.js').User} user */
async function goOn(user) {
  const target = (app.was && app.was.id !== user.id ? '' : wanted) || '#/chat';
  ended = false;
  await begin(user);
  wanted = '';
  if (location.hash === target) show();
  else location.hash = target;
}

/** The page is nobody's from now on; what was written stays for who wrote it. */
function signOut() {
  if (app.model) app.was = app.model.me;
  if (app.model) forgetLast(app.model.me.id);
  if (app.model) forgetAccount(app.model.me.id).catch(() => {});
  app.model?.stop();
  app.model = null;
  bars?.close();
  app.beside?.end();
  app.beside = null;
  app.api = new Api();
  document.title = t('name');
}

/** @param {import('../core/types.js').User} user @param {import('../last.js').Last | null} [last] shown until the server answers */
async function begin(user, last = null) {
  const number = ++begins;
  const { Model, PartingBars } = await enter();
  if (number !== begins) return;
  app.api = new Api('', user.id, (reason) => stopped(model, reason));
  app.api.heardTime = hearTime;
  const model = new Model(app.api, user);
  app.model = model;
  if (last) model.recall(last);
  // What a visit that is signed out does not need; the views go on without.
  import('./beside.js').then(({ beginBeside }) => {
    if (app.model === model) app.beside = beginBeside(app.api, model);
  }).catch(() => {});
  app.words = '';
  app.was = null;
  offer(null);
  const lines = new PartingBars(app.api, model);
  bars?.close();
  bars = lines;
  main.before(lines.element);
  model.addEventListener('change', () => {
    if (app.model !== model) return;
    drawFrame();
    lines.draw();
  });
  model.addEventListener('stop', ({ detail }) => stopped(model, detail));
  startUntil(model, () => app.model === model).then(() => {
    if (app.model === model) untried = false;
  }).catch(() => {});
}

/** The page of this model has come to its end, whoever noticed. @param {Model} model @param {string} reason */
function stopped(model, reason) {
  if (app.model !== model || (leaving === model && reason === SIGNED_OUT)) return;
  if (reason === SIGNED_OUT) {
    wanted = location.hash;
    signOut();
    app.words = untried ? t('login.noCookies', { host: location.host }) : t('login.signedOut');
    location.hash = '#/login';
    show();
    lookAround(false);
  } else if (reason === ANOTHER_ACCOUNT) {
    wanted = location.hash;
    signOut();
    ended = true;
    show();
    lookAround(false);
  }
}

/** Ask the server who is signed in in this browser, and act where it is somebody else. @param {boolean} returns
 * whether the page goes on by itself where it is who it was */
async function look(returns) {
  const number = ++looks;
  const { user } = await new Api().get('/api/visitor');
  if (number !== looks) return;
  const { model } = app;
  if (model) {
    if (!user) stopped(model, SIGNED_OUT);
    else if (user.id !== model.me.id) stopped(model, ANOTHER_ACCOUNT);
  } else if (user && returns && user.id === app.was?.id) await goOn(user);
  else if (!user && ended) {
    ended = false;
    app.words = t('login.signedOut');
    location.hash = '#/login';
    offer(null);
    show();
  } else {
    // Unless somebody is filling in a form here already.
    const idle = ![...main.querySelectorAll('input')].some(({ value }) => value);
    if (user && app.was && app.was.id !== user.id && !ended && idle) {
      ended = true;
      show();
    }
    offer(user);
  }
}

/** @type {App['signInAgain']} */
function signInAgain() {
  ended = false;
  location.hash = '#/login';
  show();
}

const lookAround = (returns = true) => {
  look(returns).catch(() => {
    // No answer: every request says whose it is, so nothing is done in a wrong name meanwhile.
  });
};

/** Say who is signed in, and offer to go on as that one. @param {import('../core/types.js').User | null} user */
function offer(user) {
  app.here = user;
  app.offer.replaceChildren(...(user ? [
    h('p', {}, parts('another.now', { name: h('bdi', {}, user.name) })),
    h('p', { class: 'row' }, h('button', { type: 'button', class: 'primary', onclick: () => {
      goOn(user).catch(() => notice(t('page.notLoaded', { page: t('nav.chat') })));
    } },
      parts('another.goOnAs', { name: h('bdi', {}, user.name) }))),
  ] : []));
  if (ended) app.offer.querySelector('button')?.focus();
}

/** Out of the back/forward cache: nothing is shown before it is known whose the page is. */
async function comeBack() {
  main.hidden = true;
  for (;;) {
    try {
      await look(true);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  main.hidden = false;
}

function routeNow() {
  if (ended) return { name: 'another', part: '' };
  const [name, part = ''] = location.hash.replace(/^#\/?/, '').split('/');
  const route = ROUTES.get(name || (app.model ? 'chat' : 'home'));
  if (!route || route.signedIn === undefined) return { name: 'home', part: NOWHERE };
  if (route.signedIn === true && !app.model) {
    wanted = location.hash;
    return { name: 'login', part: '' };
  }
  if (route.signedIn === false && app.model) return { name: 'chat', part: '' };
  return { name: name || (app.model ? 'chat' : 'home'), part: decoded(part) };
}

function show() {
  const number = ++shows;
  const { name, part } = routeNow();
  // The chat has one address, however it was reached: else a way back to another spelling of it would change nothing.
  const spelt = location.hash.match(/^#\/?(chat.*)/)?.[1] ?? 'chat';
  if (name === 'chat' && location.hash !== `#/${spelt}`) history.replaceState(null, '', `#/${spelt}`);
  const route = /** @type {Route} */ (ROUTES.get(name));
  if (route.signedIn === false) enter().catch(() => {}); // it is needed next
  if (route.view) {
    place(name, part, t(route.title), route.view);
    return;
  }
  route.load?.().then((view) => {
    route.view = view;
    if (number === shows) place(name, part, t(route.title), view);
  }).catch(() => {
    if (number === shows) notice(t('page.notLoaded', { page: t(route.title) }));
  });
}

/** @param {string} name @param {string} part @param {string} title @param {View} makeView */
function place(name, part, title, makeView) {
  if (shown?.name === name && shown.model === app.model && (shown.part === part || shown.placed.move)) {
    // A click on what is shown changes nothing: neither place nor focus nor what is being typed. An address
    // without a part leaves the part that is shown.
    const named = /^#\/?[^/]+\//.test(location.hash);
    if (named && shown.part !== part) {
      shown.placed.move?.(part);
      shown.part = part;
    }
    drawFrame();
    return;
  }
  shown?.placed.close?.();
  const view = makeView(app, /** @type {Model} */ (app.model), part);
  shown = { name, part, model: app.model, placed: view };
  main.replaceChildren(view.element);
  main.className = name;
  drawFrame();
  say(title);
  const first = main.querySelector('[data-focus]');
  if (first instanceof HTMLElement) first.focus();
  else if (document.activeElement === document.body) main.focus({ preventScroll: true });
}

let framed = '';
/** The links of the navigation by where they lead: the same ones while they are shown, so that focus stays. */
/** @type {Map<string, HTMLElement>} */
const links = new Map();
const logoutButton = h('button', { type: 'button', class: 'link', onclick: logout }, t('nav.logout'));

function drawFrame() {
  const { name } = routeNow();
  const unread = app.model?.unread ?? 0;
  const asked = app.model?.incoming.length ?? 0;
  const words = { view: t(ROUTES.get(name)?.title ?? 'nav.home'), name: t('name') };
  document.title = unread ? t('page.titleUnread', { ...words, count: unread }) : t('page.title', words);
  const state = JSON.stringify([name, unread, asked, Boolean(app.model), ended]);
  if (state === framed) return;
  framed = state;
  /** @type {HTMLElement[]} */
  const offered = [];
  for (const [target, route] of ROUTES) {
    if (ended || (route.signedIn !== null && route.signedIn !== Boolean(app.model))) continue;
    const count = target === 'chat' ? unread : target === 'friends' ? asked : 0;
    const link = links.get(target) ?? h('a', { href: `#/${target}` });
    links.set(target, link);
    if (target === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
    const counted = count > 0 ? [badge(count, t(target === 'chat' ? 'badge.unread' : 'badge.asking'))] : [];
    link.replaceChildren(t(route.title), ...counted);
    offered.push(link);
  }
  arrange(nav, app.model ? [...offered, logoutButton] : offered);
}

async function logout() {
  clearNotice();
  try {
    await app.leave(() => app.api.post('/api/logout').catch((error) => {
      // Signed out already.
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
    }));
  } catch {
    if (!ended) notice(t('logout.failed'));
  }
}

// The address says what is shown, so the way past the navigation must not change it.
document.querySelector('.skip')?.addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

/** Whoever is signed in by the cookie; asked until there is an answer. What the page says to a visitor stays till then. */
async function boot() {
  if (!main.querySelector('.page')) main.replaceChildren(h('p', { class: 'page', role: 'status' }, t('page.loading')));
  const last = await lastKnown();
  if (last || wasSomebody()) enter().catch(() => {});
  for (;;) {
    try {
      // Not `/api/me`: a refusal would stand in the console of everybody who comes for the first time.
      const { user: visitor } = await soon(app.api.get('/api/visitor'), last ? LAST_MS : Infinity);
      const user = await withoutThrowAway(visitor);
      if (user) await begin(user);
      else forgetLast();
      break;
    } catch {
      if (last) {
        await begin(last.me, last);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  answerFiles();
  addEventListener('hashchange', show);
  hearTabs({ look: lookAround, back: () => { comeBack().catch(() => {}); } });
  show();
}

boot().catch((error) => {
  main.replaceChildren(h('p', { class: 'page' }, t('page.notStarted', { reason: error.message })));
});
