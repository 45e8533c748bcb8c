// What the served files must not contain: anything newer than ES5 in the old browsers' file,
// inline script, strings read as HTML, imports across the floors.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const web = new URL('../../web/', import.meta.url).pathname;
const files = (folder) => readdirSync(folder).flatMap((name) => {
  const path = join(folder, name);
  return statSync(path).isDirectory() ? files(path) : [path];
});

test('the old browsers\' files use no word or sign newer than ES5', { timeout: 5000 }, () => {
  const text = ['legacy_basics', 'legacy_words', 'legacy'].map((name) => readFileSync(join(web, `js/${name}.js`), 'utf8')).join('');
  const code = text.replace(/\/\/.*$/gm, '').replace(/'(?:[^'\\\n]|\\.)*'/g, "''");
  const newer = /=>|`|\b(?:let|const|class|async|await|import|export|of|yield)\b|\.\.\.|\*\*|\?\.|\?\?|\b(?:fetch|Promise|WebSocket|EventSource|Map|Set|Symbol|Proxy)\b/;
  assert.equal(newer.exec(code), null);
  assert.doesNotThrow(() => new Function(code));
});

test('no module reads a string as HTML or as code', { timeout: 5000 }, () => {
  for (const path of files(join(web, 'js'))) {
    const text = readFileSync(path, 'utf8');
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/, path);
  }
});

test('the pages have no inline script, style or handler', { timeout: 5000 }, () => {
  for (const name of ['index.html', 'lab.html', 'legacy.html']) {
    const text = readFileSync(join(web, name), 'utf8');
    assert.doesNotMatch(text, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:/i, name);
  }
});

test('core imports nothing but core, ui and lab no transport', { timeout: 5000 }, () => {
  for (const path of files(join(web, 'js'))) {
    const imports = [...readFileSync(path, 'utf8').matchAll(/^import .* from '(.*)';$/gm)].map((match) => match[1]);
    for (const name of imports) {
      if (path.includes('/core/')) assert.match(name, /^\.\/[a-z]+\.js$/, path);
      if (/\/(ui|lab)\//.test(path)) assert.doesNotMatch(name, /\/transports\/|connection|tabs/, path);
    }
  }
});

test('styles say start and end, not left and right, so that a page can run either way', { timeout: 5000 }, () => {
  for (const name of readdirSync(web).filter((file) => file.endsWith('.css'))) {
    const text = readFileSync(join(web, name), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    for (const [declaration, property, value] of text.matchAll(/([\w-]+)\s*:\s*([^;{}]+)(?=[;}])/g)) {
      assert.doesNotMatch(property, /(?:^|-)(?:left|right)(?:$|-)|^float$|^clear$/, `${name}: ${declaration}`);
      if (property === 'text-align') assert.doesNotMatch(value, /left|right/, `${name}: ${declaration}`);
      const sides = value.trim().split(/\s+/);
      if (/^(?:margin|padding|inset|border-width)$/.test(property) && sides.length === 4) assert.equal(sides[1], sides[3], `${name}: ${declaration}`);
    }
  }
});

test('files stay short', { timeout: 5000 }, () => {
  // A table of words is as long as what is said.
  for (const path of files(join(web, 'js')).filter((one) => !one.includes('/words/'))) {
    assert.ok(readFileSync(path, 'utf8').split('\n').length <= 400, path);
  }
});
