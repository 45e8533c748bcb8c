// Whether a conversation calls: a button beside its title.

import { t, wordsOf } from '../words.js';
import { h, notice } from './dom.js';

/**
 * @param {import('./app.js').App} app what calls is there a moment after the view
 * @param {import('../core/conversation.js').Conversation} conversation
 */
export function muteButton(app, conversation) {
  const button = h('button', { type: 'button', class: 'link mute', hidden: true });
  const isMuted = () => app.beside?.calls.isMuted(conversation) ?? false;
  const draw = () => {
    const words = t(isMuted() ? 'calls.unmute' : 'calls.mute');
    // Nobody is called for what somebody who has left wrote.
    button.hidden = !app.beside || !app.model?.isOpen(conversation);
    if (button.textContent !== words) button.textContent = words;
  };
  button.addEventListener('click', () => {
    app.beside?.calls.mute(conversation, !isMuted()).then(draw).catch((error) => notice(wordsOf(error)));
  });
  return { element: button, draw };
}
