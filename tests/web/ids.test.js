// Names that nobody else draws, where the browser has less than today's.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { randomId } from '../../web/js/ids.js';

const web = new URL('../../web/js/', import.meta.url).pathname;

test('an id is drawn without what plain http does not have, and never twice', () => {
  const { randomUUID } = crypto;
  crypto.randomUUID = undefined;
  try {
    const ids = Array.from({ length: 1000 }, randomId);
    assert.equal(new Set(ids).size, 1000);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
  } finally {
    crypto.randomUUID = randomUUID;
  }
});

test('what secure contexts alone have is never asked for without a look', { timeout: 5000 }, () => {
  // Each of these is missing on a page that came over plain http from another machine.
  const risky = /\bcrypto\.(?:randomUUID|subtle)|navigator\.(?:clipboard|credentials|serviceWorker|storage|wakeLock|share)\.|\bcaches\.(?:open|match)/;
  for (const path of readdirSync(web, { recursive: true }).filter((name) => name.endsWith('.js'))) {
    const code = readFileSync(join(web, path), 'utf8').replace(/^\s*(?:\/\*[^]*?\*\/|\/\/.*)$/gm, '');
    const found = risky.exec(code);
    assert.equal(found, null, `${path}: ${found?.[0]}`);
  }
});
