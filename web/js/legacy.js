// The chat for old browsers: ES5, XMLHttpRequest and long-polling, nothing newer.
// Sign in, register, friends, read and write. Loaded after legacy_basics.js and legacy_words.js by /legacy,
// and by the page itself in browsers that know no modules.
(function () {
  'use strict';

  var basics = window.chatBasics;
  var HOLD_S = 25;
  var PAGE = 50;
  var KEEP = 300;
  var me = null;
  var friends = {};
  var cursor = null;
  var poll = null;
  var life = 0;
  var failures = 0;
  var clientName = 'legacy-' + Math.random().toString(36).slice(2);
  var view = {};
  var outboxes = {};
  var drafts = {};
  var waiting = [];
  var leaving = false;
  var untried = false;
  var sending = false;
  var shownSeq = {};
  var shownDay = '';
  var dark = window.matchMedia && window.matchMedia('(prefers-color-scheme: dark)').matches;

  var make = basics.make;
  var empty = basics.empty;
  var ask = basics.ask;
  var field = basics.field;
  var clear = basics.clear;
  var button = basics.button;
  var submitter = basics.submitter;
  var t = basics.t;
  var written = basics.written;
  var person = basics.person;
  var option = basics.option;

  // Sign in and register

  function showEntrance(words) {
    var main = clear(t('name'));
    leave();
    main.appendChild(make('p', words || '', 'bad'));
    basics.entranceForm(main, 'login', '/api/login', [['email', 'text'], ['password', 'password']], enter);
    basics.entranceForm(main, 'register', '/api/register', [['firstName', 'text'], ['lastName', 'text'],
      ['email', 'text'], ['password', 'password']], enter);
  }

  function leave() {
    life += 1;
    if (me && view.text) drafts[me.id] = view.text.value;
    me = null;
    leaving = false;
    basics.user = '';
    if (poll) poll.abort();
  }

  // Whether the answer ends this page: the login is over, or is another account's.
  function ended(status, answer) {
    if (status === 401) showEntrance(leaving ? '' : t(untried ? 'login.noCookies' : 'legacy.signedOut', { host: window.location.host }));
    else if (me && status === 409 && answer.code === 'another_account') showAnother();
    else return false;
    return true;
  }

  function showAnother() {
    var name = me.name;
    var main = clear(t('nav.another'));
    leave();
    basics.hearTabs(look);
  ask('GET', '/api/visitor', null, 20000, function (status, answer) {
      var user = answer.user;
      if (!user) return showEntrance(status === 200 ? t('legacy.signedOut') : t('legacy.reload'));
      main.appendChild(make('p', t('another.now', { name: user.name })));
      main.appendChild(make('p', t('another.kept', { name: name })));
      main.appendChild(button(t('another.goOnAs', { name: user.name }), function () {
        begin(user);
      }));
    });
  }

  // Somebody has signed in or out in another tab.
  function look() {
    ask('GET', '/api/friends', null, 20000, function (status, answer) {
      if (me) ended(status, answer);
    });
  }

  function enter(user) {
    untried = true;
    basics.tellTabs(user.id);
    begin(user);
  }

  // The chat

  function begin(user) {
    var main = clear(t('name'));
    // What somebody else has written waits for that one.
    waiting = outboxes[user.id] = outboxes[user.id] || [];
    me = user;
    basics.user = user.id;
    life += 1;
    main.appendChild(make('p', t('home.signedIn', { name: user.name }) + ' '));
    main.lastChild.appendChild(button(t('nav.logout'), function () {
      leaving = true;
      ask('POST', '/api/logout', {}, 20000, function (status, answer) {
        if (status === 204) basics.tellTabs('');
        if (!ended(status, answer)) showEntrance('');
      });
    }));
    view = { stream: make('div', '', 'stream'), words: make('p', '', 'bad'), friends: make('div') };
    main.appendChild(view.stream);
    main.appendChild(composer());
    main.appendChild(view.words);
    main.appendChild(make('h2', t('friends.friends')));
    main.appendChild(view.friends);
    searchForm(main);
    reload();
  }

  function composer() {
    view.form = make('form');
    view.to = make('select');
    view.to.setAttribute('aria-label', t('legacy.to'));
    view.text = written('textarea');
    view.text.setAttribute('aria-label', t('composer.label'));
    view.text.value = drafts[me.id] || '';
    view.form.appendChild(view.to);
    view.form.appendChild(view.text);
    view.form.appendChild(submitter(t('composer.send')));
    view.form.style.display = 'none';
    view.form.onsubmit = write;
    view.text.onkeydown = function (event) {
      event = event || window.event;
      return event.keyCode !== 13 || event.shiftKey ? true : write();
    };
    return view.form;
  }

  // Load all again: at the start, and when the server says that it cannot go on exactly.
  function reload() {
    var mine = life;
    empty(view.stream);
    shownSeq = {};
    shownDay = '';
    note(t('page.loading'));
    ask('GET', '/api/messages?limit=' + PAGE, null, 20000, function (status, page) {
      if (mine !== life) return;
      if (ended(status, page)) return;
      if (status !== 200) return retry(reload);
      failures = 0;
      untried = false;
      cursor = page.seq;
      for (var i = 0; i < page.messages.length; i += 1) show(page.messages[i]);
      loadFriends();
      note(t('connection.connected'));
      view.connected = true;
      view.form.style.display = '';
      view.text.focus();
      follow(0);
    });
  }

  function retry(action) {
    failures = Math.min(failures + 1, 7);
    later(Math.random() * Math.min(30000, 500 * Math.pow(2, failures)), action);
  }

  function later(ms, action) {
    var mine = life;
    window.setTimeout(function () {
      if (mine === life) action();
    }, ms);
  }

  function followNow() {
    follow(0);
  }

  // One poll after another; the cursor in each says what has been seen.
  function follow(wait) {
    var mine = life;
    var path = '/poll?after=' + cursor + '&wait=' + wait + '&client=' + clientName +
      '&user=' + encodeURIComponent(me.id);
    var startedAt = new Date().getTime();
    poll = ask('GET', path, null, (wait + 15) * 1000, function (status, answer) {
      if (mine !== life) return;
      if (ended(status, answer)) return;
      if (status !== 200) {
        lost();
        return retry(followNow);
      }
      failures = 0;
      found();
      for (var i = 0; i < answer.events.length; i += 1) {
        if (answer.events[i].type === 'reset') return reload();
        if (answer.events[i].type === 'bye') return later(answer.events[i].reconnectIn || 1000, followNow);
        take(answer.events[i]);
      }
      cursor = answer.cursor;
      // An answer that is empty and hasty must not turn into a storm of requests.
      var hasty = wait && !answer.events.length && new Date().getTime() - startedAt < 1000;
      later(hasty ? 1000 : 0, function () {
        follow(HOLD_S);
      });
    });
  }

  function lost() {
    if (!view.connected) return;
    view.connected = false;
    note(t('connection.disconnected'));
  }

  function found() {
    if (view.connected) return;
    view.connected = true;
    note(t('connection.connected'));
    flush();
  }

  function take(event) {
    if (event.type === 'message') show(event);
    else if (event.type === 'friend' || event.type === 'profile') loadFriends();
    else if (event.type === 'presence') presence(event);
  }

  function presence(event) {
    var id;
    if (event.online instanceof Array) {
      for (id in friends) if (friends.hasOwnProperty(id)) friends[id].online = false;
      for (var i = 0; i < event.online.length; i += 1) {
        if (friends.hasOwnProperty(event.online[i])) friends[event.online[i]].online = true;
      }
    } else if (friends.hasOwnProperty(event.user)) friends[event.user].online = event.online;
    drawFriends();
  }

  function atBottom() {
    return view.stream.scrollHeight - view.stream.scrollTop - view.stream.clientHeight < 60;
  }

  function append(line) {
    var follows = atBottom();
    view.stream.appendChild(line);
    while (view.stream.childNodes.length > KEEP) view.stream.removeChild(view.stream.firstChild);
    if (follows) view.stream.scrollTop = view.stream.scrollHeight;
  }

  function note(text) {
    append(make('p', text, 'note'));
  }

  function show(event) {
    var line = make('p');
    var day = basics.dayOf(event.at);
    var name = written('b', event.from.name);
    if (shownSeq[event.seq]) return;
    shownSeq[event.seq] = true;
    if (day !== shownDay) append(make('p', day, 'note day'));
    shownDay = day;
    if (!dark) name.style.color = event.from.color;
    line.appendChild(make('span', basics.timeOf(event.at) + ' ', 'time'));
    line.appendChild(name);
    if (event.to) {
      var other = friends.hasOwnProperty(event.to) ? friends[event.to].name : t('legacy.someone');
      var whom = event.to === me.id ? t('legacy.toYou') : t('legacy.toOne', { name: other });
      line.appendChild(make('span', ' (' + whom + ')', 'time'));
    }
    line.appendChild(document.createTextNode(' '));
    line.appendChild(written('span', event.text, 'text'));
    append(line);
  }

  // Writing: one message at a time, with an id that makes a repeat harmless.

  function write() {
    var text = view.text.value;
    if (!/\S/.test(text)) return false;
    var id = clientName + '-' + new Date().getTime().toString(36) + '-' + Math.random().toString(36).slice(2, 8);
    var message = { text: basics.mended(text), clientId: id };
    if (view.to.value) message.to = view.to.value;
    waiting.push(message);
    view.text.value = '';
    view.text.focus();
    flush();
    return false;
  }

  function flush() {
    var message = waiting[0];
    var mine = life;
    if (!message || sending) return;
    sending = true;
    ask('POST', '/api/messages', message, 20000, function (status, answer) {
      sending = false;
      if (mine !== life) return;
      empty(view.words);
      if (status === 0 || status >= 500 || status === 429) return retry(flush);
      if (ended(status, answer)) return;
      waiting.shift();
      if (status >= 400) {
        view.words.appendChild(make('span', t('message.notSent', { reason: basics.refusal(status, answer) })));
        if (!view.text.value) view.text.value = message.text;
      }
      flush();
    });
  }

  // Friends

  function loadFriends() {
    var mine = life;
    ask('GET', '/api/friends', null, 20000, function (status, answer) {
      if (mine !== life || ended(status, answer) || status !== 200) return;
      friends = {};
      for (var i = 0; i < answer.friends.length; i += 1) friends[answer.friends[i].id] = answer.friends[i];
      view.incoming = answer.incoming;
      view.outgoing = answer.outgoing;
      drawFriends();
    });
  }

  function change(method, id, done, query) {
    return function () {
      ask(method, '/api/friends/' + encodeURIComponent(id) + (query || ''), method === 'PUT' ? {} : null, 20000, function () {
        loadFriends();
        if (done) done();
      });
    };
  }

  function drawFriends() {
    var chosen = view.to.value;
    var incoming = view.incoming || [];
    var outgoing = view.outgoing || [];
    var id;
    var i;
    empty(view.to);
    empty(view.friends);
    view.to.appendChild(option('', t('legacy.toAll')));
    for (i = 0; i < incoming.length; i += 1) {
      person(view.friends, incoming[i], t('relation.incoming'), [
        button(t('friends.accept'), change('PUT', incoming[i].id)),
        button(t('friends.decline'), change('DELETE', incoming[i].id))]);
    }
    for (id in friends) {
      if (!friends.hasOwnProperty(id)) continue;
      view.to.appendChild(option(id, t('legacy.toName', { name: friends[id].name })));
      person(view.friends, friends[id], basics.standing(friends[id]), ['endsIn' in friends[id]
        ? button(t('ending.undo'), change('PUT', id))
        : button(t('friends.end'), basics.asking(friends[id], change('DELETE', id, null, '?delay=10')))]);
    }
    for (i = 0; i < outgoing.length; i += 1) {
      person(view.friends, outgoing[i], t('relation.outgoing'),
        [button(t('friends.withdraw'), change('DELETE', outgoing[i].id))]);
    }
    view.to.value = friends.hasOwnProperty(chosen) ? chosen : '';
  }

  function searchForm(main) {
    var form = make('form');
    var found = make('div');
    var input = field(form, t('nav.friends'), 'q', 'text');
    form.appendChild(submitter(t('legacy.search')));
    function search() {
      ask('GET', '/api/users?limit=20&q=' + encodeURIComponent(input.value), null, 20000, function (status, answer) {
        empty(found);
        var users = answer.users || [];
        if (!users.length) found.appendChild(make('p', t('legacy.nobody'), 'note'));
        for (var i = 0; i < users.length; i += 1) {
          var strange = users[i].relation === 'none';
          person(found, users[i], strange ? '' : t('relation.' + users[i].relation),
            strange ? [button(t('friends.ask'), change('PUT', users[i].id, search))] : []);
        }
      });
    }
    form.onsubmit = function () {
      if (/\S/.test(input.value)) search();
      return false;
    };
    main.appendChild(form);
    main.appendChild(found);
  }

  ask('GET', '/api/visitor', null, 20000, function (status, answer) {
    if (answer.user) begin(answer.user);
    else showEntrance(status === 200 ? '' : t('legacy.reload'));
  });
}());
