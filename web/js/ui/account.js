// The views of someone who is not signed in: Home, Register, Login.

import { Kept } from '../kept.js';
import { parts, t } from '../words.js';
import { field, h, requestForm } from './dom.js';

/** The part of an address that leads nowhere: Home says so, and where one can go. */
export const NOWHERE = 'nowhere';

/** @type {import('./app.js').View} */
export function homeView(app, model, part) {
  const closing = new AbortController();
  const alone = h('p', { hidden: true }, t('friends.empty'));
  const draw = () => {
    alone.hidden = !model?.ready || model.friends.size > 0;
  };
  model?.addEventListener('change', draw, { signal: closing.signal });
  draw();
  const welcome = model
    ? [h('p', {}, parts('home.signedIn', { name: h('bdi', {}, model.me.name) })), alone,
      h('p', { class: 'row' },
        h('a', { class: 'button primary', href: '#/chat' }, t('home.open')),
        h('a', { class: 'button', href: '#/friends' }, t('nav.friends')))]
    : [h('p', {}, t('home.what')),
      h('p', { class: 'row' },
        h('a', { class: 'button primary', href: '#/register' }, t('nav.register')),
        h('a', { class: 'button', href: '#/login' }, t('nav.login'))),
      app.words && h('p', { class: 'words', role: 'status' }, app.words),
      app.offer,
      keptNote(app)];
  const element = h('div', { class: 'page' },
    h('h1', {}, t('home.title')),
    part === NOWHERE && h('p', { class: 'words bad', role: 'status' }, t('refused.not_found')),
    welcome,
    h('p', { class: 'quiet' }, parts('home.how', {
      classic: h('a', { href: '/classic' }, t('home.classic')),
      legacy: h('a', { href: '/legacy' }, t('home.legacy')),
      lab: h('a', { href: '/lab' }, t('home.lab')),
    })));
  return { element, close: () => closing.abort() };
}

/** @type {import('./app.js').View} */
export function loginView(app) {
  const form = requestForm({
    fields: [
      field(t('field.email'), { name: 'email', type: 'email', autocomplete: 'username', required: true, 'data-focus': true, maxLength: 254 }),
      field(t('field.password'), { name: 'password', type: 'password', autocomplete: 'current-password', required: true, maxLength: 1024 }),
    ],
    action: t('nav.login'),
    submit: async (values) => app.signedIn((await app.api.post('/api/login', values)).user),
  });
  const element = h('div', { class: 'page narrow' },
    h('h1', {}, t('nav.login')),
    app.words && h('p', { class: 'words', role: 'status' }, app.words),
    app.offer,
    form,
    keptNote(app),
    h('p', { class: 'quiet' }, parts('login.new', { register: h('a', { href: '#/register' }, t('nav.register')) })));
  return { element };
}

/** @type {import('./app.js').View} */
export function anotherView(app) {
  const { was } = app;
  const element = h('div', { class: 'page narrow' },
    h('h1', {}, t('nav.another')),
    app.offer,
    was && h('p', { class: 'words' }, t('another.kept', { name: was.name })),
    was && h('p', {}, h('button', { type: 'button', class: 'link', onclick: app.signInAgain },
      parts('another.signIn', { name: h('bdi', {}, was.name) }))));
  return { element };
}

/** What somebody who has signed out wrote and did not send; it is theirs to delete. @param {import('./app.js').App} app */
function keptNote(app) {
  const { was } = app;
  const kept = was && new Kept(was.id);
  if (!was || !kept?.count) return null;
  const note = h('p', { class: 'quiet', role: 'status' }, parts('kept.what', { count: kept.count, name: h('bdi', {}, was.name) }), ' ');
  const onclick = () => {
    kept.forget();
    note.replaceChildren(t('kept.deleted'));
  };
  note.append(h('button', { type: 'button', class: 'link', onclick }, t('kept.delete')));
  return note;
}

/** @type {import('./app.js').View} */
export function registerView(app) {
  const form = requestForm({
    fields: [
      field(t('field.firstName'), { name: 'firstName', autocomplete: 'given-name', required: true, 'data-focus': true, maxLength: 50 }),
      field(t('field.lastName'), { name: 'lastName', autocomplete: 'family-name', maxLength: 50 }),
      field(t('field.email'), { name: 'email', type: 'email', autocomplete: 'username', required: true, maxLength: 254 }),
      field(t('field.password'), { name: 'password', type: 'password', autocomplete: 'new-password', required: true, minLength: 8, maxLength: 1024 }, t('field.passwordHint')),
    ],
    action: t('nav.register'),
    submit: async (values) => app.signedIn((await app.api.post('/api/register', values)).user),
  });
  const element = h('div', { class: 'page narrow' },
    h('h1', {}, t('nav.register')),
    app.words && h('p', { class: 'words', role: 'status' }, app.words),
    app.offer,
    form,
    h('p', { class: 'quiet' }, parts('register.already', { login: h('a', { href: '#/login' }, t('nav.login')) })));
  return { element };
}
