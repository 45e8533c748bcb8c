// What a browser says of itself, as people call it: a name and a system, as far as they can be told. Pure.

/** The first that fits; later ones say an earlier one's name too. @type {[RegExp, string][]} */
const BROWSERS = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'], [/\bOPR\/|\bOpera\b/, 'Opera'], [/\bVivaldi\//, 'Vivaldi'], [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bYaBrowser\//, 'Yandex'], [/\bMicroMessenger\//, 'WeChat'], [/\bUCBrowser\//, 'UC Browser'], [/\bFxiOS\/|\bFirefox\//, 'Firefox'],
  [/\bCriOS\/|\b(?:Headless)?Chrom(?:e|ium)\//, 'Chrome'], [/\bVersion\/\S+ .*\bSafari\//, 'Safari'], [/\bMSIE |\bTrident\//, 'Internet Explorer'],
  [/\bw3m\//, 'w3m'], [/\bLynx\//, 'Lynx'], [/\bcurl\//, 'curl'], [/\bpython|\baiohttp\b|\bhttpx\b/i, 'Python'],
];

/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/\biPhone\b/, 'iPhone'], [/\biPad\b/, 'iPad'], [/\bAndroid\b/, 'Android'], [/\bHarmonyOS\b|\bOpenHarmony\b/, 'HarmonyOS'], [/\bCrOS\b/, 'ChromeOS'],
  [/\bWindows\b/, 'Windows'], [/\bMac(?:intosh| OS X)\b/, 'macOS'], [/\bLinux\b|\bX11\b/, 'Linux'],
];

/** @param {[RegExp, string][]} table @param {string} text */
const first = (table, text) => table.find(([pattern]) => pattern.test(text))?.[1] ?? '';

/** @param {string} userAgent @returns {{browser: string, system: string}} '' for what it does not say */
export const agentOf = (userAgent) => ({ browser: first(BROWSERS, userAgent), system: first(SYSTEMS, userAgent) });
