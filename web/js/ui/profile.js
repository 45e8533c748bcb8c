// Profile: name, colour, password, signed-in devices, tokens, the end of the account.

import { contrast } from '../core/color.js';
import { actionButton, field, h, momentOf, requestForm } from './dom.js';

/** Colours readable on white, to begin with; any other that has 4.5:1 can be chosen. */
const COLORS = ['#b3261e', '#9c4a00', '#7a5a00', '#4d6b00', '#1b6e3c', '#00696e', '#0b63a5', '#3f51b5', '#6a3fb5', '#9c2f93', '#a8325e', '#5b5b66'];

/** @type {import('./app.js').View} */
export function profileView(app, model) {
  const devices = h('div', {});
  const tokens = h('div', {});
  const element = h('div', { class: 'page' },
    h('h1', {}, 'Profile'),
    h('p', { class: 'quiet' }, model.me.email ?? ''),
    h('h2', {}, 'Name and colour'), nameForm(app, model),
    h('h2', {}, 'Password'), passwordForm(app),
    h('h2', {}, 'Signed-in devices'), devices,
    h('h2', {}, 'Tokens for scripts'), tokens, tokenForm(app, tokens),
    h('h2', {}, 'Delete the account'), deleteForm(app));
  for (const [box, draw] of /** @type {const} */ ([[devices, drawDevices], [tokens, drawTokens]])) {
    draw(app, box).catch((error) => box.replaceChildren(h('p', { class: 'bad' }, error.message)));
  }
  return { element };
}

/** @param {import('./app.js').App} app @param {import('./model.js').Model} model */
function nameForm(app, model) {
  const { me } = model;
  const picker = h('input', { id: 'f-color', name: 'color', type: 'color', value: me.color });
  const words = h('small', { 'aria-live': 'polite' });
  const check = () => {
    words.textContent = contrast(picker.value, '#ffffff') >= 4.5 ? '' : 'Too pale to be read on white.';
  };
  picker.addEventListener('input', check);
  const swatches = COLORS.map((color) => {
    const swatch = h('button', { type: 'button', class: 'swatch', 'aria-label': `Colour ${color}`, title: color });
    swatch.style.backgroundColor = color;
    swatch.addEventListener('click', () => {
      picker.value = color;
      check();
    });
    return swatch;
  });
  return requestForm({
    fields: [
      field('First name', { name: 'firstName', value: me.firstName ?? '', autocomplete: 'given-name', required: true, maxLength: 50 }),
      field('Last name', { name: 'lastName', value: me.lastName ?? '', autocomplete: 'family-name', maxLength: 50 }),
      h('div', { class: 'field' }, h('label', { for: 'f-color' }, 'Colour of your name'),
        h('div', { class: 'row' }, picker, swatches), words),
    ],
    action: 'Save',
    async submit(values) {
      const { user } = await app.api.patch('/api/me', values);
      model.me = user;
      return 'Saved.';
    },
  });
}

/** @param {import('./app.js').App} app */
function passwordForm(app) {
  return requestForm({
    fields: [
      field('Current password', { name: 'currentPassword', type: 'password', autocomplete: 'current-password', required: true }),
      field('New password', { name: 'password', type: 'password', autocomplete: 'new-password', required: true, minLength: 8, maxLength: 1024 },
        'Other devices are signed out, and tokens revoked.'),
    ],
    action: 'Change the password',
    async submit(values) {
      await app.api.patch('/api/me', values);
      return 'The password is changed.';
    },
  });
}

/** @param {import('./app.js').App} app @param {HTMLElement} box */
async function drawDevices(app, box) {
  const { sessions } = await app.api.get('/api/sessions');
  box.replaceChildren(h('ul', { class: 'people' }, sessions.map((/** @type {any} */ one) => h('li', {},
    h('span', { class: 'who' }, one.userAgent || 'An unnamed device',
      h('small', {}, `${one.current ? 'this device, ' : ''}since ${momentOf(one.createdAt)}, last used ${momentOf(one.lastUsedAt)}`)),
    !one.current && actionButton('Sign out', async () => {
      await app.api.delete(`/api/sessions/${encodeURIComponent(one.id)}`);
      await drawDevices(app, box);
    })))));
}

/** @param {import('./app.js').App} app @param {HTMLElement} box */
async function drawTokens(app, box) {
  const { tokens } = await app.api.get('/api/tokens');
  box.replaceChildren(h('ul', { class: 'people' }, tokens.map((/** @type {any} */ one) => h('li', {},
    h('span', { class: 'who' }, one.label,
      h('small', {}, one.expiresAt ? `until ${momentOf(one.expiresAt)}` : 'does not expire')),
    actionButton('Revoke', async () => {
      await app.api.delete(`/api/tokens/${encodeURIComponent(one.id)}`);
      await drawTokens(app, box);
    }, { 'aria-label': `Revoke ${one.label}` })))));
}

/** @param {import('./app.js').App} app @param {HTMLElement} box */
function tokenForm(app, box) {
  const shown = h('output', {});
  const form = requestForm({
    fields: [field('Label', { name: 'label', required: true, maxLength: 50 }), shown],
    action: 'Make a token',
    kind: '',
    async submit({ label }) {
      const { token } = await app.api.post('/api/tokens', { label });
      shown.replaceChildren(h('code', {}, token));
      await drawTokens(app, box);
      return 'Copy the token now: it is shown this once.';
    },
  });
  return form;
}

/** @param {import('./app.js').App} app */
function deleteForm(app) {
  return requestForm({
    fields: [
      h('p', {}, 'Your account and all that you wrote will be gone for good.'),
      h('div', { class: 'field' }, h('label', { for: 'f-delete' }, 'Password'),
        h('input', { id: 'f-delete', name: 'password', type: 'password', autocomplete: 'current-password', required: true })),
    ],
    action: 'Delete my account',
    kind: 'danger',
    async submit(values) {
      await app.api.delete('/api/me', values);
      app.signedOut();
      location.hash = '#/home';
    },
  });
}
