// Profile: name, colour, password, signed-in devices, tokens, the end of the account.

import { agentOf } from '../core/agent.js';
import { contrast } from '../core/color.js';
import { Kept } from '../kept.js';
import { chooseLanguage, chosenLanguage, languages, t, wordsOf } from '../words.js';
import { callsForm } from './calls_form.js';
import { actionButton, field, h, requestForm } from './dom.js';
import { agoOf, momentOf } from './time.js';

/** Colours readable on white, to begin with; any other that has 4.5:1 can be chosen. */
const COLORS = ['#b3261e', '#9c4a00', '#7a5a00', '#4d6b00', '#1b6e3c', '#00696e', '#0b63a5', '#3f51b5', '#6a3fb5', '#9c2f93', '#a8325e', '#5b5b66'];

/** @type {import('./app.js').View} */
export function profileView(app, model) {
  const devices = h('div', {});
  const tokens = h('div', {});
  const closing = new AbortController();
  const element = h('div', { class: 'page' },
    h('h1', {}, t('nav.profile')),
    h('p', { class: 'quiet' }, model.me.email ?? ''),
    h('h2', {}, t('profile.name')), nameForm(app, model),
    h('h2', {}, t('profile.language')), languageField(),
    h('h2', {}, t('calls.title')), app.beside && callsForm(app.beside.calls, model, closing.signal),
    h('h2', {}, t('profile.password')), passwordForm(app, model),
    h('h2', {}, t('profile.devices')), devices,
    h('h2', {}, t('profile.tokens')), tokens, tokenForm(app, tokens),
    h('h2', {}, t('profile.delete')), deleteForm(app, model));
  for (const [box, draw] of /** @type {const} */ ([[devices, drawDevices], [tokens, drawTokens]])) {
    draw(app, box).catch((error) => box.replaceChildren(h('p', { class: 'bad' }, wordsOf(error))));
  }
  return { element, close: () => closing.abort() };
}

/** @param {import('./app.js').App} app @param {import('./model.js').Model} model */
function nameForm(app, model) {
  const { me } = model;
  const picker = h('input', { id: 'f-color', name: 'color', type: 'color', value: me.color });
  const words = h('small', { 'aria-live': 'polite' });
  const check = () => {
    words.textContent = contrast(picker.value, '#ffffff') >= 4.5 ? '' : t('profile.tooPale');
  };
  picker.addEventListener('input', check);
  const swatches = COLORS.map((color) => {
    const swatch = h('button', { type: 'button', class: 'swatch', 'aria-label': t('profile.swatch', { color }), title: color });
    swatch.style.backgroundColor = color;
    swatch.addEventListener('click', () => {
      picker.value = color;
      check();
    });
    return swatch;
  });
  return requestForm({
    fields: [
      field(t('field.firstName'), { name: 'firstName', value: me.firstName ?? '', autocomplete: 'given-name', required: true, maxLength: 50 }),
      field(t('field.lastName'), { name: 'lastName', value: me.lastName ?? '', autocomplete: 'family-name', maxLength: 50 }),
      h('div', { class: 'field' }, h('label', { for: 'f-color' }, t('profile.color')),
        h('div', { class: 'row' }, picker, swatches), words),
    ],
    action: t('profile.save'),
    async submit(values) {
      await model.adoptProfile(() => app.api.patch('/api/me', values));
      return t('profile.saved');
    },
  });
}

/** One browser, one language: who reads here may not be who reads on another device. */
function languageField() {
  const choice = h('select', { id: 'f-language' }, h('option', { value: '' }, t('profile.languageAuto')),
    languages.map(([tag, name]) => h('option', { value: tag, lang: tag }, name)));
  choice.value = chosenLanguage();
  choice.addEventListener('change', () => chooseLanguage(choice.value));
  return h('div', { class: 'field' }, h('label', { for: 'f-language' }, t('profile.languageOf')), choice);
}

/** Says to a password manager whose password a form is about. @param {import('./model.js').Model} model */
const whose = ({ me }) => h('input', { type: 'text', autocomplete: 'username', value: me.email ?? '', readOnly: true, hidden: true });

/** @param {import('./app.js').App} app @param {import('./model.js').Model} model */
function passwordForm(app, model) {
  return requestForm({
    fields: [
      whose(model),
      field(t('profile.current'), { name: 'currentPassword', type: 'password', autocomplete: 'current-password', required: true }),
      field(t('profile.new'), { name: 'password', type: 'password', autocomplete: 'new-password', required: true, minLength: 8, maxLength: 1024 },
        t('profile.newHint')),
    ],
    action: t('profile.change'),
    async submit(values) {
      await app.api.patch('/api/me', values);
      return t('profile.changed');
    },
  });
}

/** "Firefox on Windows"; what a browser says of itself where nothing is known of it. @param {string} userAgent */
function deviceName(userAgent) {
  const { browser, system } = agentOf(userAgent);
  if (browser && system) return t('profile.browserOn', { browser, system });
  return browser || system || userAgent || t('profile.unnamed');
}

/** @param {import('./app.js').App} app @param {HTMLElement} box */
async function drawDevices(app, box) {
  const { sessions } = await app.api.get('/api/sessions');
  const redraw = () => drawDevices(app, box);
  box.replaceChildren(h('ul', { class: 'people' }, sessions.map((/** @type {any} */ one) => h('li', {},
    h('span', { class: 'who', title: one.userAgent }, deviceName(one.userAgent),
      h('small', {}, t(one.current ? 'profile.thisDevice' : 'profile.device', {
        since: momentOf(one.createdAt), used: agoOf(one.lastUsedAt),
      }))),
    !one.current && actionButton(t('profile.signOut'), () => (
      app.api.delete(`/api/sessions/${encodeURIComponent(one.id)}`).then(redraw)))))));
  if (sessions.length > 1) {
    box.append(actionButton(t('profile.signOutOthers'), () => app.api.delete('/api/sessions').then(redraw)));
  }
}

/** @param {import('./app.js').App} app @param {HTMLElement} box */
async function drawTokens(app, box) {
  const { tokens } = await app.api.get('/api/tokens');
  box.replaceChildren(h('ul', { class: 'people' }, tokens.map((/** @type {any} */ one) => h('li', {},
    h('span', { class: 'who' }, one.label,
      h('small', {}, one.expiresAt ? t('profile.until', { when: momentOf(one.expiresAt) }) : t('profile.noEnd'))),
    actionButton(t('profile.revoke'), async () => {
      await app.api.delete(`/api/tokens/${encodeURIComponent(one.id)}`);
      await drawTokens(app, box);
    }, { 'aria-label': t('profile.revokeNamed', { label: one.label }) })))));
}

/** @param {import('./app.js').App} app @param {HTMLElement} box */
function tokenForm(app, box) {
  const shown = h('output', {});
  const form = requestForm({
    fields: [field(t('profile.label'), { name: 'label', required: true, maxLength: 50 }), shown],
    action: t('profile.makeToken'),
    kind: '',
    async submit({ label }) {
      const { token } = await app.api.post('/api/tokens', { label });
      shown.replaceChildren(h('code', {}, token));
      await drawTokens(app, box);
      return t('profile.copyToken');
    },
  });
  return form;
}

/** @param {import('./app.js').App} app @param {import('./model.js').Model} model */
function deleteForm(app, model) {
  return requestForm({
    fields: [
      h('p', {}, t('profile.deleteWhat')), whose(model),
      h('div', { class: 'field' }, h('label', { for: 'f-delete' }, t('field.password')),
        h('input', { id: 'f-delete', name: 'password', type: 'password', autocomplete: 'current-password', required: true })),
    ],
    action: t('profile.deleteMine'),
    kind: 'danger',
    async submit(values) {
      const { api } = app;
      await app.leave(async () => {
        await api.delete('/api/me', values);
        // Nobody comes back to it.
        new Kept(model.me.id).forget();
      }, t('profile.deleted'));
    },
  });
}
