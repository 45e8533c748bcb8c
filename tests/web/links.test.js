// Where addresses begin and end in what people write, in any script's punctuation.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { splitLinks } from '../../web/js/core/links.js';

const CASES = JSON.parse(readFileSync(new URL('../links.json', import.meta.url), 'utf8'));

for (const [text, links] of CASES) {
  test(`links of ${JSON.stringify(text)}`, { timeout: 5000 }, () => {
    const parts = splitLinks(text);
    assert.equal(parts.map((part) => part.text).join(''), text, 'nothing is lost');
    assert.deepEqual(parts.filter((part) => part.href).map((part) => [part.text, part.href]), links);
  });
}

test('a hostile text costs no time', { timeout: 5000 }, () => {
  for (const piece of ['a', 'a.', 'a@', 'www.', '(', 'https://', 'https://(', '@a.b', 'a-', 'http://a]['])  {
    const before = process.cpuUsage().user;
    splitLinks(piece.repeat(4000 / piece.length));
    assert.ok(process.cpuUsage().user - before < 500_000, piece);
  }
});
