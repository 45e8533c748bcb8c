// Files that are pasted or dropped get an answer. Without one a browser leaves the page for the file.

import { t } from '../words.js';
import { notice } from './dom.js';

/** Who shows the answer; the last one that asked for it. @type {((words: string) => void) | null} */
let teller = null;

function answer() {
  if (teller) teller(t('composer.noFiles'));
  else notice(t('composer.noFiles'));
}

/** @param {DataTransfer | null} data */
const holdsFiles = (data) => Boolean(data?.files.length || data?.types.some((kind) => kind.toLowerCase() === 'files'));

/**
 * @param {(words: string) => void} tell shows the answer where one writes
 * @param {AbortSignal} signal until then
 */
export function answerFilesWith(tell, signal) {
  teller = tell;
  signal.addEventListener('abort', () => {
    if (teller === tell) teller = null;
  });
}

/** For the whole page: a file is dropped anywhere. */
export function answerFiles() {
  document.addEventListener('dragover', (event) => {
    if (holdsFiles(event.dataTransfer)) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    if (!holdsFiles(event.dataTransfer)) return;
    event.preventDefault();
    answer();
  });
  document.addEventListener('paste', (event) => {
    const data = event.clipboardData;
    // A table or a drawing comes as text and as a picture of it: then the text is what is wanted.
    if (!holdsFiles(data) || data?.getData('text/plain')) return;
    event.preventDefault();
    answer();
  });
}
