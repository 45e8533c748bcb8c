// What only the page of somebody who is signed in needs.

export { chatView } from './chat.js';
export { Model } from './model.js';
export { PartingBars } from './partings.js';
