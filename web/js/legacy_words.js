// For the page of old browsers: its words, and the direction of what people wrote. ES5 and nothing newer.
// The table comes as a script of its own, made of words/<language>.js by the server.
(function () {
  'use strict';

  var table = window.chatWords || {};
  var basics = window.chatBasics;
  var SAID = 'said: ';
  // Letters that run from right to left, and marks that turn what stands around them.
  var TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;

  function has(key) {
    return Object.prototype.hasOwnProperty.call(table, key);
  }

  function isolated(text) {
    return TURNS.test(text) ? '\u2068' + text.replace(/\u2069/g, '') + '\u2069' : text;
  }

  function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, function (gap, name) {
      return isolated(String(values[name]));
    });
  }

  // The words for `key`, with `values` in their gaps.
  function t(key, values) {
    var words = has(key) ? table[key] : key;
    // English and Chinese have no more plural forms than these; another language says its general one.
    if (typeof words !== 'string') words = (values && values.count === 1 && words.one) || words.other;
    return fill(words, values || {});
  }

  function patternOf(key) {
    return new RegExp('^' + key.slice(SAID.length).replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '(.+)') + '$');
  }

  // What the server says in English, in the reader's language: as it is, or with values in it.
  function said(sentence) {
    if (has(SAID + sentence)) return table[SAID + sentence];
    for (var key in table) {
      if (!has(key) || key.indexOf(SAID) !== 0 || key.indexOf('{') < 0) continue;
      var match = patternOf(key).exec(sentence);
      if (match) return fill(table[key], valuesOf(key, match));
    }
    return '';
  }

  function valuesOf(key, match) {
    var names = key.match(/\{\w+\}/g);
    var values = {};
    for (var i = 0; i < names.length; i += 1) values[names[i].slice(1, -1)] = match[i + 1];
    return values;
  }

  // Why the server refused: in its own words, or what its code means in general.
  function refusal(status, answer) {
    if (!status) return t('refused.unreachable');
    var words = said(answer.detail || '');
    if (words) return words;
    if (answer.detail && document.documentElement.lang === 'en') return answer.detail;
    return t(has('refused.' + answer.code) ? 'refused.' + answer.code : 'refused.unknown');
  }

  // What somebody wrote, in a direction of its own.
  function written(tag, text, className) {
    var element = basics.make(tag, text, className);
    element.setAttribute('dir', 'auto');
    element.className = className ? className + ' written' : 'written';
    return element;
  }

  function two(number) {
    return (number < 10 ? '0' : '') + number;
  }

  function timeOf(at) {
    var date = new Date(at);
    return two(date.getHours()) + ':' + two(date.getMinutes());
  }

  // As the reader's country writes it, where the browser's language is the page's.
  function locale() {
    var page = document.documentElement.lang;
    var own = navigator.language || '';
    return own.slice(0, 2) === page.slice(0, 2) ? own : page;
  }

  // The day in the reader's zone, as the language writes it where the browser knows how.
  function dayOf(at) {
    var date = new Date(at);
    try {
      return date.toLocaleDateString(locale(), { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
    } catch (error) {
      return date.getFullYear() + '-' + two(date.getMonth() + 1) + '-' + two(date.getDate());
    }
  }

  function person(box, user, words, actions) {
    var line = basics.make('div', '', 'person');
    line.appendChild(written('span', user.name));
    line.appendChild(document.createTextNode(words ? ' (' + words + ') ' : ' '));
    if (user.looksLike) line.appendChild(basics.make('strong', t('friends.looksLike') + ' ', 'bad'));
    for (var i = 0; i < actions.length; i += 1) line.appendChild(actions[i]);
    box.appendChild(line);
  }

  // What a friend's line says: whether they are here, or that the friendship is about to end.
  function standing(friend) {
    if ('endsIn' in friend) return t('ending.runs', { name: friend.name, count: friend.endsIn });
    return friend.online ? t('presence.online') : '';
  }

  // Ask before a friendship ends, and say what is lost.
  function asking(friend, end) {
    return function () {
      var words = { name: friend.name, count: 10 };
      if (window.confirm(t('ending.ask', words) + '\n\n' + t('ending.lost', words))) end();
    };
  }

  function option(value, label) {
    var element = basics.make('option', label);
    element.value = value;
    return element;
  }

  basics.timeOf = timeOf;
  basics.dayOf = dayOf;
  basics.person = person;
  basics.option = option;
  basics.standing = standing;
  basics.asking = asking;
  basics.t = t;
  basics.refusal = refusal;
  basics.isolated = isolated;
  basics.written = written;
}());
