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

  function field(form, label, name, type) {
    var id = 'legacy-' + name;
    var words = make('label', label);
    var input = make('input');
    words.htmlFor = id;
    input.id = id;
    input.name = name;
    input.type = type;
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

  basics.make = make;
  basics.empty = empty;
  basics.ask = ask;
  basics.field = field;
  basics.clear = clear;
  basics.button = button;
  basics.submitter = submitter;
  window.chatBasics = basics;
}());
