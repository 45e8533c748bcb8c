// What a text may hold, by the table that tests/core/test_texts.py holds the server's rule against.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Composition } from '../../web/js/core/composition.js';
import { TEXT_MAX, faultOf, lengthOf, mended, showsSomething } from '../../web/js/core/text.js';

const timeout = 10_000;
const table = JSON.parse(readFileSync(new URL('./texts.json', import.meta.url), 'utf8'));

for (const { what, text, mended: clean, taken } of table) {
  test(`a text is mended, and known to be taken or not: ${what}`, { timeout }, () => {
    assert.equal(mended(text), clean);
    assert.equal(mended(clean), clean);
    assert.equal(faultOf(clean) === '', taken);
  });
}

test('a text is counted as the server counts, in code points', { timeout }, () => {
  assert.equal(lengthOf('a😀é'), 3);
  assert.equal(faultOf('😀'.repeat(TEXT_MAX)), '');
  assert.equal(faultOf(`${'😀'.repeat(TEXT_MAX)}x`), 'long');
  assert.equal(faultOf('x'.repeat(TEXT_MAX + 1)), 'long');
});

test('what shows something is what the server thinks it is, character by character', { timeout }, () => {
  // The table of chatserver/core/visible.py, read from its source.
  const source = readFileSync(new URL('../../chatserver/core/visible.py', import.meta.url), 'utf8');
  const ranges = [...source.slice(0, source.indexOf('_SEEN =')).matchAll(/^ {4}"([^"]+)"/gm)].map((line) => line[1]).join('')
    .replaceAll(/\\U([0-9a-f]{8})/g, (_, hex) => `\\u{${hex.replace(/^0+/, '')}}`);
  const unseen = new RegExp(`^[${ranges}]$`, 'u');
  const differing = [];
  for (let code = 0; code <= 0x10ffff; code += 1) {
    const sign = String.fromCodePoint(code);
    if (unseen.test(sign) === showsSomething(sign)) differing.push(code.toString(16));
  }
  assert.deepEqual(differing, []);
});

const enter = (timeStamp, more = {}) => ({ key: 'Enter', keyCode: 13, isComposing: false, timeStamp, ...more });

test('an Enter that ends a composition is the input method\'s in whichever order a browser tells it', { timeout }, () => {
  const orders = {
    'Chromium and Firefox: the key, then the end': (method) => {
      method.start();
      const owned = method.owns(enter(100, { isComposing: true, keyCode: 229 }));
      method.end(101);
      method.keyUp();
      return owned;
    },
    'Safari: the end, then the key with code 229': (method) => {
      method.start();
      method.end(100);
      return method.owns(enter(100, { keyCode: 229 }));
    },
    'the end, then the key without a mark': (method) => {
      method.start();
      method.end(100);
      return method.owns(enter(103));
    },
    'no word of a composition, but code 229': (method) => method.owns(enter(100, { keyCode: 229 })),
    'in the composition, without a mark': (method) => {
      method.start();
      return method.owns(enter(100));
    },
  };
  for (const [what, play] of Object.entries(orders)) assert.equal(play(new Composition()), true, what);
});

test('the Enter after a composition is the writer\'s', { timeout }, () => {
  const method = new Composition();
  assert.equal(method.owns(enter(0)), false);
  // Hangul: the key ends the composition and comes once more by itself.
  method.start();
  assert.equal(method.owns(enter(100, { isComposing: true, keyCode: 229 })), true);
  method.end(100);
  assert.equal(method.owns(enter(101)), false);
  // A click chose the character.
  method.keyUp();
  method.start();
  method.end(500);
  assert.equal(method.owns(enter(900)), false);
  // Safari's own Enter is one key, not two.
  method.start();
  method.end(1000);
  assert.equal(method.owns(enter(1000, { keyCode: 229 })), true);
  method.keyUp();
  assert.equal(method.owns(enter(1050)), false);
});
