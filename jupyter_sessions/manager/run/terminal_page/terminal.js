// A terminal on the WebSocket beside this page. Messages are those of Jupyter's terminals: ["stdin", text],
// ["stdout", text], ["set_size", rows, columns], ["disconnect"] when the shell has ended.
(() => {
  const LIGHT = {
    background: '#ffffff',
    foreground: '#202124',
    cursor: '#202124',
    cursorAccent: '#ffffff',
    selectionBackground: '#b3d4fc',
    yellow: '#8a6a00',
    brightYellow: '#8a6a00',
    green: '#1a7f37',
    brightGreen: '#1a7f37',
    white: '#6e7781',
    brightWhite: '#57606a'
  };
  const DARK = {
    background: '#111111',
    foreground: '#e8eaed',
    cursor: '#e8eaed',
    cursorAccent: '#111111',
    selectionBackground: '#3a5f8a'
  };
  const RECONNECT_MS = [500, 1000, 2000, 5000];

  const place = document.getElementById('terminal');
  const notice = document.getElementById('notice');
  const asked = new URLSearchParams(location.search).get('theme');
  const system = matchMedia('(prefers-color-scheme: dark)');

  const terminal = new Terminal({
    cursorBlink: true,
    fontFamily: 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace',
    fontSize: 13,
    scrollback: 10000,
    minimumContrastRatio: 4.5,
    screenReaderMode: false
  });
  const fit = new FitAddon.FitAddon();
  terminal.loadAddon(fit);

  const paint = () => {
    const dark = asked ? asked === 'dark' : system.matches;
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
    document.body.style.background = (dark ? DARK : LIGHT).background;
    terminal.options.theme = dark ? DARK : LIGHT;
  };
  system.addEventListener('change', paint);
  paint();
  terminal.open(place);
  terminal.focus();

  let socket = null;
  let tries = 0;
  let ended = false;

  const tell = text => {
    notice.textContent = text;
    notice.hidden = !text;
  };
  const send = message => {
    if (socket?.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify(message));
    }
  };
  const sendSize = () => send(['set_size', terminal.rows, terminal.cols]);

  const connect = () => {
    const url = new URL('websocket', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.search = '';
    socket = new WebSocket(url);
    socket.onopen = () => {
      tries = 0;
      ended = false;
      tell('');
      terminal.reset(); // What was shown before comes again.
      fit.fit();
      sendSize();
    };
    socket.onmessage = ({ data }) => {
      const [kind, text] = JSON.parse(data);
      if (kind === 'stdout') {
        terminal.write(text);
      } else if (kind === 'disconnect') {
        ended = true;
      }
    };
    socket.onclose = () => {
      if (ended) {
        tell('The shell has ended. Press Enter for another.');
        return;
      }
      tell('The connection was lost. Connecting again …');
      setTimeout(connect, RECONNECT_MS[Math.min(tries++, 3)]);
    };
  };

  terminal.onData(text => {
    if (ended && text === '\r') {
      connect();
    } else {
      send(['stdin', text]);
    }
  });
  terminal.onResize(sendSize);
  new ResizeObserver(() => fit.fit()).observe(place);
  connect();
})();
