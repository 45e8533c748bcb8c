// What a person has written and not sent, in the storage of a browser of paper with many tabs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROADCASTS, direct } from '../../web/js/core/conversation.js';
import { Kept } from '../../web/js/kept.js';

const timeout = 10_000;
const entry = (clientId, at, more = {}) => ({ clientId, text: clientId, conversation: BROADCASTS, at, status: 'pending', ...more });

/** A storage that tells every other tab what changes in it, as a browser does. */
class PaperDisk {
  kept = new Map();
  tabs = [];
  full = false;

  storage(tab) {
    const tell = (key, newValue) => {
      if (this.full && newValue !== null) throw new DOMException('full', 'QuotaExceededError');
      const oldValue = this.kept.get(key) ?? null;
      if (newValue === null) this.kept.delete(key);
      else this.kept.set(key, newValue);
      for (const other of this.tabs) if (other !== tab) other.dispatchEvent(Object.assign(new Event('storage'), { key, newValue, oldValue }));
    };
    const kept = this.kept;
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => tell(key, String(value)),
      removeItem: (key) => kept.has(key) && tell(key, null),
      key: (n) => [...kept.keys()][n] ?? null,
      get length() { return kept.size; },
    };
  }
}

/** Opens what a user keeps, as a new tab of the browser. */
function open(t, disk, user = 'me', heard = null) {
  const tab = new EventTarget();
  disk.tabs.push(tab);
  const put = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  put('localStorage', disk.storage(tab));
  put('sessionStorage', new PaperDisk().storage(null));
  put('addEventListener', tab.addEventListener.bind(tab));
  t.after(() => ['localStorage', 'sessionStorage', 'addEventListener'].forEach((name) => delete globalThis[name]));
  const kept = new Kept(user);
  if (heard) kept.listen(heard, new AbortController().signal);
  return kept;
}

test('drafts and messages that wait outlive the tab, each account its own', { timeout }, (t) => {
  const disk = new PaperDisk();
  const before = open(t, disk);
  before.keepDraft(direct('bob'), 'half a line');
  before.keepOutbox([entry('b', 2), entry('a', 1)]);
  const after = open(t, disk);
  assert.equal(after.draft(direct('bob')), 'half a line');
  assert.equal(after.draft(BROADCASTS), '');
  assert.deepEqual(after.drafts, [direct('bob')]);
  assert.deepEqual(after.outbox().map((one) => one.clientId), ['a', 'b']);
  const other = open(t, disk, 'ann');
  assert.deepEqual([other.count, other.outbox(), other.draft(direct('bob'))], [0, [], '']);
  assert.equal(after.count, 3);
});

test('two tabs that write at the same time overwrite nothing of each other', { timeout }, (t) => {
  const disk = new PaperDisk();
  const [one, two] = [open(t, disk), open(t, disk)];
  one.outbox();
  two.outbox();
  one.keepOutbox([entry('a', 1)]);
  two.keepOutbox([entry('b', 2)]);
  one.keepOutbox([entry('a', 1), entry('c', 3)]);
  two.keepOutbox([]);
  assert.deepEqual(open(t, disk).outbox().map((waits) => waits.clientId), ['a', 'c']);
});

test('a tab hears what another one writes, gets out and drafts', { timeout }, (t) => {
  const disk = new PaperDisk();
  const heard = [];
  open(t, disk, 'me', {
    draft: (conversation, text, before) => heard.push([conversation, text, before]),
    waits: ({ clientId, status }) => heard.push([clientId, status]),
    gone: (clientId) => heard.push(clientId),
  });
  const other = open(t, disk);
  open(t, disk, 'ann').keepDraft(BROADCASTS, 'not mine');
  other.keepOutbox([entry('a', 1)]);
  other.keepOutbox([entry('a', 1, { status: 'failed', error: 'no' })]);
  other.keepOutbox([]);
  other.keepDraft(direct('bob'), 'x');
  other.keepDraft(direct('bob'), 'xy');
  assert.deepEqual(heard, [['a', 'pending'], ['a', 'failed'], 'a', [direct('bob'), 'x', ''], [direct('bob'), 'xy', 'x']]);
});

test('it is gone once the person says so, and another account\'s is not', { timeout }, (t) => {
  const disk = new PaperDisk();
  const kept = open(t, disk);
  const other = open(t, disk, 'ann');
  kept.keepDraft(BROADCASTS, 'mine');
  kept.keepOutbox([entry('a', 1)]);
  other.keepDraft(BROADCASTS, 'hers');
  kept.forget();
  assert.deepEqual([kept.count, other.count], [0, 1]);
});

test('a disk that is full or forbidden keeps it as long as the page lives', { timeout }, (t) => {
  const disk = new PaperDisk();
  const kept = open(t, disk);
  disk.full = true;
  kept.keepDraft(BROADCASTS, 'long');
  kept.keepOutbox([entry('a', 1)]);
  assert.deepEqual([kept.draft(BROADCASTS), kept.outbox().length, kept.count], ['long', 1, 2]);
  kept.keepOutbox([]);
  kept.keepDraft(BROADCASTS, '');
  assert.equal(kept.count, 0);
});
