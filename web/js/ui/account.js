// The views of someone who is not signed in: Home, Register, Login.

import { field, h, requestForm } from './dom.js';

/** @type {import('./app.js').View} */
export function homeView(app, model) {
  const welcome = model
    ? [h('p', {}, `You are signed in as ${model.me.name}.`),
      h('p', { class: 'row' },
        h('a', { class: 'button primary', href: '#/chat' }, 'Open the chat'),
        h('a', { class: 'button', href: '#/friends' }, 'Find friends'))]
    : [h('p', {}, 'Sign in, find your friends, and talk to all of them or to one.'),
      h('p', { class: 'row' },
        h('a', { class: 'button primary', href: '#/register' }, 'Register'),
        h('a', { class: 'button', href: '#/login' }, 'Login'))];
  const element = h('div', { class: 'page' },
    h('h1', {}, 'A chat among friends'),
    welcome,
    h('p', { class: 'quiet' },
      'It starts on a connection that works everywhere, changes to a better one when there is one, and loses nothing on the way. ',
      'Other ways in: ', h('a', { href: '/classic' }, 'pages without script'), ', ',
      h('a', { href: '/legacy' }, 'a page for old browsers'), ', ',
      h('a', { href: '/lab' }, 'the laboratory'), '.'));
  return { element };
}

/** @type {import('./app.js').View} */
export function loginView(app) {
  const form = requestForm({
    fields: [
      field('Email', { name: 'email', type: 'email', autocomplete: 'username', required: true, 'data-focus': true, maxLength: 254 }),
      field('Password', { name: 'password', type: 'password', autocomplete: 'current-password', required: true, maxLength: 1024 }),
    ],
    action: 'Login',
    submit: async (values) => app.signedIn((await app.api.post('/api/login', values)).user),
  });
  const element = h('div', { class: 'page narrow' },
    h('h1', {}, 'Login'),
    app.words && h('p', { class: 'words', role: 'status' }, app.words),
    form,
    h('p', { class: 'quiet' }, 'New here? ', h('a', { href: '#/register' }, 'Register'), '.'));
  return { element };
}

/** @type {import('./app.js').View} */
export function anotherView(app) {
  const reload = () => {
    location.hash = '#/chat';
    location.reload();
  };
  const element = h('div', { class: 'page narrow' },
    h('h1', {}, 'Another account'),
    h('p', { class: 'words', role: 'status' },
      `This page is ${app.words}'s, and this browser is now signed in to another account. `,
      `What ${app.words} was writing is kept in this tab until ${app.words} signs in here again.`),
    h('p', { class: 'row' },
      h('button', { type: 'button', class: 'primary', 'data-focus': true, onclick: reload }, 'Go on with the other account')));
  return { element };
}

/** @type {import('./app.js').View} */
export function registerView(app) {
  const form = requestForm({
    fields: [
      field('First name', { name: 'firstName', autocomplete: 'given-name', required: true, 'data-focus': true, maxLength: 50 }),
      field('Last name', { name: 'lastName', autocomplete: 'family-name', maxLength: 50 }),
      field('Email', { name: 'email', type: 'email', autocomplete: 'username', required: true, maxLength: 254 }),
      field('Password', { name: 'password', type: 'password', autocomplete: 'new-password', required: true, minLength: 8, maxLength: 1024 }, 'At least 8 characters'),
    ],
    action: 'Register',
    submit: async (values) => app.signedIn((await app.api.post('/api/register', values)).user),
  });
  const element = h('div', { class: 'page narrow' },
    h('h1', {}, 'Register'),
    form,
    h('p', { class: 'quiet' }, 'Registered already? ', h('a', { href: '#/login' }, 'Login'), '.'));
  return { element };
}
