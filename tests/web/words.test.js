// The words: every language has the same keys and gaps, none is missing or left over, and no word stands
// outside of the tables.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { endOfClose } from '../../web/js/core/endings.js';
import { isolated } from '../../web/js/core/bidi.js';
import { localeOf } from '../../web/js/core/locale.js';
import { parts, said, t, wordsOf } from '../../web/js/words.js';

const timeout = 10_000;
const web = new URL('../../web/', import.meta.url).pathname;
const tags = readdirSync(join(web, 'js/words')).map((name) => name.replace(/\.js$/, ''));
const tables = new Map(await Promise.all(tags.map(async (tag) =>
  /** @type {const} */ ([tag, (await import(`../../web/js/words/${tag}.js`)).default]))));
const english = tables.get('en');

const files = (folder) => readdirSync(folder).flatMap((name) => {
  const path = join(folder, name);
  return statSync(path).isDirectory() ? files(path) : [path];
});
const scripts = files(join(web, 'js')).filter((path) => !path.includes('/words/'));
const gaps = (words) => (typeof words === 'string' ? [words] : Object.values(words))
  .map((text) => [...text.matchAll(/\{\w+\}/g)].map(([gap]) => gap).sort().join());

for (const [tag, table] of tables) {
  test(`${tag} has the keys and the gaps of English, and the plural forms of its own language`, { timeout }, () => {
    assert.deepEqual(Object.keys(table), Object.keys(english), 'the same keys in the same order');
    const forms = new Intl.PluralRules(tag).resolvedOptions().pluralCategories.toSorted();
    for (const [key, words] of Object.entries(table)) {
      assert.deepEqual([...new Set(gaps(words))], [...new Set(gaps(english[key]))], key);
      assert.equal(typeof words, typeof english[key], key);
      if (typeof words === 'object') assert.deepEqual(Object.keys(words).toSorted(), forms, key);
      for (const text of typeof words === 'string' ? [words] : Object.values(words)) assert.notEqual(text.trim(), '', key);
    }
  });
}

test('a key stands once in a file, which a reader of JSON understands', { timeout }, () => {
  for (const [tag, table] of tables) {
    const lines = readFileSync(join(web, `js/words/${tag}.js`), 'utf8').split('\n').filter((line) => !/^\s*\/\//.test(line));
    const keys = lines.map((line) => /^ {2}("(?:[^"\\]|\\.)*"):/.exec(line)?.[1]).filter(Boolean);
    assert.equal(new Set(keys).size, keys.length, tag);
    const json = lines.join('\n').replace('export default', '').replace(/,\s*\};\s*$/, '}');
    assert.deepEqual(JSON.parse(json), table, tag);
  }
});

test('Chinese addresses its reader in one way, and has one word for an account', { timeout }, () => {
  // 您 and 你 used to stand in one paragraph.
  for (const [key, words] of Object.entries(tables.get('zh-CN'))) assert.doesNotMatch(JSON.stringify(words), /你|账户|帐/u, key);
});

/** Text of a script without comments, imports and types. */
const code = (path) => readFileSync(path, 'utf8').replace(/\/\*\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  .replace(/^(?:import|\} from) .*$/gm, '').replace(/(?<=[\s;])\/\/ .*$/gm, '');

/** What in a script is shown to a person and is no call of `t`: children of elements, and attributes that are read out. */
function strayWords(text) {
  const found = [];
  const literal = /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g;
  for (const match of text.matchAll(literal)) {
    const before = text.slice(Math.max(0, match.index - 60), match.index);
    let value = match[1] ?? match[2] ?? match[3];
    for (let inner = ''; inner !== value;) [inner, value] = [value, value.replace(/\$?\{[^{}]*\}/g, '')];
    // Addresses, and what only a programmer reads.
    if (value.startsWith('/') || before.endsWith('new Error(')) continue;
    const sentence = /\p{L}{2,} \p{L}{2,}/u.test(value) || /^\s*\p{Lu}\p{Ll}+[.!?…:]?\s*$/u.test(value);
    const shown = /(?:title|placeholder|ariaLabel|'aria-label'|alt|textContent|label):? =?\s*$/.test(before) && /\p{L}/u.test(value);
    if (sentence || shown) found.push(value);
  }
  return found;
}

/** What looks like words and is none for people: keys, headers, names of errors, fonts, the names of transports in data. */
const NO_WORDS = new Set(['Bearer', 'Enter', 'Escape', 'Tab', 'Home', 'End', 'Backspace', 'Delete', 'Content-Type', 'Date', 'X-Chat-User',
  'AbortError', 'RangeError', 'QuotaExceededError', 'Segmenter', '11px system-ui, sans-serif', 'WebSocket',
  'Server-Sent Events', 'Long-polling', 'Polling', 'Classic', 'Laboratory']);

/** Names with spaces for machines: classes of elements, features, queries of media. */
const MACHINE = /^(?:[a-z-]+(?: [a-z-]+)*)$/;

/** Whether a sentence of a part that knows no language is translated where it is shown. @param {string} sentence */
const isKnown = (sentence) => {
  const names = Object.keys(english).filter((key) => key.startsWith('said: ')).map((key) => key.slice(6).replace(/\{\w+\}/g, ''));
  return names.includes(sentence);
};

test('no word stands outside of the tables', { timeout }, () => {
  // Names of products are the same in every language.
  const stray = scripts.filter((path) => !path.endsWith('/core/agent.js')).flatMap((path) => strayWords(code(path))
    .filter((value) => !NO_WORDS.has(value.trim()) && !MACHINE.test(value.trim()) && !Object.hasOwn(english, value))
    // Below the views nothing knows a language: what is said there in English is said again in the reader's.
    .filter((value) => /\/(?:ui|lab)\/|\/legacy/.test(path) || !isKnown(value))
    .map((value) => `${path.slice(web.length)}: ${value}`));
  assert.deepEqual(stray, []);
});

test('every reason that the connection gives is known in the reader\'s language', { timeout }, () => {
  for (const path of scripts.filter((one) => !/\/(?:ui|lab)\//.test(one))) {
    for (const [, sentence] of code(path).matchAll(/reason(?: =|:) '([^']+)'/g)) assert.ok(isKnown(sentence), `${path}: ${sentence}`);
  }
  for (const code of [1006, 1012, 4000, 4008, 4029, 4500, 4501, 4502, 4503]) {
    assert.ok(isKnown(endOfClose(code, '', null).reason), `close code ${code}`);
  }
});

test('no word stands in the pages', { timeout }, () => {
  for (const name of readdirSync(web).filter((file) => file.endsWith('.html'))) {
    const text = readFileSync(join(web, name), 'utf8');
    const shown = [...text.matchAll(/>([^<]+)</g), ...text.matchAll(/(?:title|aria-label|alt|placeholder|description" content)="([^"]*)"/g)]
      .map(([, words]) => words.replace(/\[\[[\w.]+\]\]/g, '').trim()).filter((words) => /\p{L}/u.test(words));
    assert.deepEqual(shown, [], name);
    for (const [, key] of text.matchAll(/\[\[([\w.]+)\]\]/g)) {
      assert.ok(['language', 'direction', 'languages'].includes(key) || Object.hasOwn(english, key), `${name}: ${key}`);
    }
  }
});

test('numbers choose the plural form, gaps are filled, and what turns is kept apart', { timeout }, () => {
  assert.equal(t('chat.friends', { count: 1, online: 0 }), '1 friend, 0 online');
  assert.equal(t('chat.friends', { count: 1200, online: 3 }), '1,200 friends, 3 online');
  assert.equal(t('friends.named', { action: 'Ask', name: 'Bob' }), 'Ask Bob');
  assert.equal(t('friends.named', { action: 'Ask', name: 'דנה' }), 'Ask \u2068דנה\u2069');
  assert.deepEqual(parts('home.signedIn', { name: 'Bob' }), ['You are signed in as ', 'Bob', '.']);
});

test('an isolate ends where the sentence says, whatever stands in it', { timeout }, () => {
  assert.equal(isolated('Bob'), 'Bob');
  assert.equal(isolated('\u202eboB'), '\u2068\u202eboB\u2069');
  assert.equal(isolated('a\u2069\u202eb'), '\u2068a\u202eb\u2069', 'it cannot leave its isolate');
  assert.equal(isolated('\u2067a\u2069'), '\u2068\u2067a\u2069\u2069');
});

test('what others say in English is known as it is, and with numbers in it', { timeout }, () => {
  assert.equal(said('the server restarts'), 'the server restarts');
  assert.equal(said('closed with code 4999'), 'closed with code 4999');
  assert.equal(said('something new'), 'something new');
  assert.equal(wordsOf(new Error('something new')), 'something new');
});

test('days and numbers are written as in the reader\'s country, in the language and script of the page', { timeout }, () => {
  const at = Date.UTC(2026, 10, 9, 21, 22);
  const written = (language, ...preferred) => new Intl.DateTimeFormat(localeOf(language, preferred), {
    timeZone: 'UTC', dateStyle: 'short', timeStyle: 'short',
  }).format(at).replaceAll('\u202f', ' ');
  assert.equal(written('en', 'en-US', 'en'), '11/9/26, 9:22 PM');
  assert.equal(written('en', 'en-GB', 'en-US'), '09/11/2026, 21:22');
  assert.equal(written('en', 'de-CH', 'en-GB'), '09/11/2026, 21:22', 'the first that is the page\'s');
  assert.equal(written('en', 'de'), '09/11/2026, 21:22', 'a country can be guessed');
  assert.equal(written('en'), '11/9/26, 9:22 PM', 'a browser that says nothing');
  assert.equal(localeOf('zh-CN', ['zh-TW', 'zh-SG']), 'zh-SG', 'not in another script');
  assert.equal(localeOf('zh-CN', ['zh-TW']), 'zh-Hans-TW');
  assert.equal(localeOf('en', ['no tag', 'en-IN']), 'en-IN');
  assert.equal(localeOf('en', ['no tag']), 'en');
});
