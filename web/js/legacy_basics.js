// For the page of old browsers: elements, forms and requests. ES5 and nothing newer.
(function () {
  'use strict';

  // `user`: whose page it is; each request says so, and the server refuses where the login is another's.
  var basics = { user: '' };

  function make(tag, text, className) {
    var element = document.createElement(tag);
    if (text) element.appendChild(document.createTextNode(text));
    if (className) element.className = className;
    return element;
  }

  function empty(element) {
    while (element.firstChild) element.removeChild(element.firstChild);
  }

  // Calls done(status, answer) once; status 0 says that no answer came.
  function ask(method, path, body, timeoutMs, done) {
    var request = new XMLHttpRequest();
    var ended = false;
    function finish(status) {
      var answer = null;
      if (ended) return;
      ended = true;
      window.clearTimeout(timer);
      try {
        answer = JSON.parse(request.responseText);
      } catch (error) {
        answer = null;
      }
      done(status, answer || {});
    }
    var timer = window.setTimeout(function () {
      finish(0);
      request.abort();
    }, timeoutMs);
    request.onreadystatechange = function () {
      if (request.readyState === 4) finish(request.status);
    };
    request.open(method, path, true);
    if (body) request.setRequestHeader('Content-Type', 'application/json');
    if (basics.user) request.setRequestHeader('X-Chat-User', basics.user);
    request.send(body ? JSON.stringify(body) : null);
    return request;
  }

  // Tell the other tabs of this browser that somebody signs in or out here, and hear it of them; as ui/whose.js does.
  function tellTabs(user) {
    try {
      window.localStorage.setItem('chat.account', JSON.stringify({ user: user, at: new Date().getTime() }));
    } catch (error) {
      // A tab that was not told finds out at its next request.
    }
  }

  function hearTabs(look) {
    if (!window.addEventListener) return;
    window.addEventListener('storage', function (event) {
      if (event.key === 'chat.account' || event.key === null) look();
    });
    window.addEventListener('pageshow', function (event) {
      if (event.persisted) window.location.reload();
    });
  }

  // A text as the server takes it; core/text.js has the rule.
  function mended(text) {
    text = text.replace(/[\ud800-\udbff](?![\udc00-\udfff])/g, '').replace(/(^|[^\ud800-\udbff])[\udc00-\udfff]+/g, '$1');
    return text.replace(/\r\n|[\r\x0b\f\x85\u2028\u2029]/g, '\n').replace(/[\x00-\x08\x0e-\x1f\x7f-\x9f]/g, '');
  }

  function field(form, label, name, type) {
    var id = 'legacy-' + name;
    var words = make('label', label);
    var input = make('input');
    words.htmlFor = id;
    input.id = id;
    input.name = name;
    input.type = type;
    if (type === 'text') input.setAttribute('dir', 'auto');
    form.appendChild(words);
    form.appendChild(input);
    return input;
  }

  function clear(title) {
    var main = document.getElementById('main') || document.body;
    empty(main);
    main.appendChild(make('h1', title));
    return main;
  }

  function button(label, action) {
    var element = make('button', label);
    element.type = 'button';
    element.onclick = action;
    return element;
  }

  function submitter(label) {
    var element = make('button', label);
    element.type = 'submit';
    return element;
  }

  function entranceForm(main, action, path, fields, done) {
    var form = make('form');
    var inputs = [];
    var words = make('p', '', 'bad');
    var i;
    main.appendChild(make('h2', basics.t('nav.' + action)));
    for (i = 0; i < fields.length; i += 1) inputs.push(field(form, basics.t('field.' + fields[i][0]), fields[i][0], fields[i][1]));
    for (i = 0; i < inputs.length; i += 1) inputs[i].id += '-' + action;
    var labels = form.getElementsByTagName('label');
    for (i = 0; i < labels.length; i += 1) labels[i].htmlFor = inputs[i].id;
    form.appendChild(make('br'));
    form.appendChild(submitter(basics.t('nav.' + action)));
    form.appendChild(words);
    form.onsubmit = function () {
      var body = {};
      for (var n = 0; n < inputs.length; n += 1) body[inputs[n].name] = inputs[n].value;
      ask('POST', path, body, 20000, function (status, answer) {
        empty(words);
        if (answer.user) done(answer.user);
        else words.appendChild(make('span', basics.refusal(status, answer)));
      });
      return false;
    };
    main.appendChild(form);
  }

  basics.make = make;
  basics.empty = empty;
  basics.ask = ask;
  basics.field = field;
  basics.clear = clear;
  basics.button = button;
  basics.submitter = submitter;
  basics.entranceForm = entranceForm;
  basics.tellTabs = tellTabs;
  basics.hearTabs = hearTabs;
  basics.mended = mended;
  window.chatBasics = basics;
}());
