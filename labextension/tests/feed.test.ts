import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { ServerConnection } from '@jupyterlab/services';

import { EventFeed } from '../src/feed';

const TIMES = {
  tick: 5,
  silence: 20,
  retry: 10,
  longestRetry: 40,
  patience: 200
};
const SCHEMAS = 'https://schema.jupyter.org/jupyter_sessions';

/** A connection that a test drives. */
class Socket {
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  isClosed = false;

  constructor(readonly url: string) {
    sockets.push(this);
  }

  close(): void {
    this.isClosed = true;
  }

  send(kind: string, more: object): void {
    const schema_id = `${SCHEMAS}/${kind}/v1`;
    this.onmessage?.({ data: JSON.stringify({ schema_id, ...more }) });
  }

  heartbeat(rev = 1): void {
    this.send('heartbeat', { epoch: 'e', rev });
  }
}

let sockets: Socket[] = [];
let feed: EventFeed;
let isHidden = false;

/** What requests are answered with: a status, or null for no answer. */
let status: number | null = 200;
let asked = 0;

function start(): string[] {
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://localhost/base/',
    wsUrl: 'ws://localhost/base/',
    token: 'a&b',
    appendToken: true,
    WebSocket: Socket as unknown as typeof WebSocket,
    fetch: (async () => {
      asked++;
      if (status === null) {
        throw new TypeError('refused');
      }
      return new Response('{}', { status });
    }) as typeof fetch,
    Headers,
    Request
  });
  feed = new EventFeed(settings, () => isHidden, TIMES);
  const said: string[] = [];
  feed.opened.connect(() => said.push('opened'));
  feed.silent.connect(() => said.push('silent'));
  feed.pushed.connect((_, { rev }) => said.push(`push ${rev}`));
  feed.beat.connect((_, { rev }) => said.push(`beat ${rev}`));
  return said;
}

/** Wait until something is so. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) {
    await new Promise(resolve => setTimeout(resolve, 1));
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise(resolve => setTimeout(resolve, ms));

afterEach(() => {
  feed.dispose();
  [sockets, isHidden, status, asked] = [[], false, 200, 0];
});

describe('the event stream', () => {
  it('tells of pushes and heartbeats, and of nothing else', () => {
    const said = start();
    const [socket] = sockets;
    assert.equal(
      socket.url,
      'ws://localhost/base/api/events/subscribe?token=a%26b'
    );
    socket.onopen!();
    socket.heartbeat(3);
    socket.send('session', { epoch: 'e', rev: 4, changes: [] });
    socket.send('session', { epoch: 'e', rev: 'forged' });
    socket.send('other', { epoch: 'e', rev: 4, changes: [] });
    assert.deepEqual(said, ['opened', 'beat 3', 'push 4']);
  });

  it('is said to be silent once, when heartbeats stop', async () => {
    const said = start();
    sockets[0].onopen!();
    sockets[0].heartbeat();
    status = null;
    await until(() => said.includes('silent'));
    assert.ok(sockets[0].isClosed);
    await until(() => asked > 12);
    assert.deepEqual(said, ['opened', 'beat 1', 'silent']);
    assert.equal(sockets.length, 1);
    status = 200;
    await until(() => sockets.length === 2);
    assert.deepEqual(said.slice(3), ['opened']);
  });

  it('is silent when it was cut and nothing answers, not before', async () => {
    const said = start();
    sockets[0].onopen!();
    sockets[0].heartbeat();
    sockets[0].onclose!();
    await until(() => sockets.length === 2);
    sockets[1].onopen!();
    sockets[1].heartbeat(2);
    assert.deepEqual(said.slice(2), ['opened', 'opened', 'beat 2']);
    status = 503; // A proxy's
    sockets[1].onclose!();
    await until(() => said.includes('silent'));
    assert.equal(sockets.length, 2);
  });

  it('counts as silent nowhere that heartbeats are unknown', async () => {
    const said = start();
    sockets[0].onopen!();
    await pause(TIMES.tick * TIMES.silence * 3);
    assert.deepEqual(said, ['opened']);
    sockets[0].heartbeat();
    sockets[0].onclose!();
    status = 404; // It has come back without the extension
    await until(() => sockets.length === 2);
    sockets[1].onopen!();
    await pause(TIMES.tick * TIMES.silence * 3);
    assert.ok(!said.includes('silent'));
  });

  it('is tried less and less where only requests work', async () => {
    start();
    for (let tries = 1; tries < 5; tries++) {
      await until(() => sockets.length === tries);
      sockets[tries - 1].onclose!();
    }
    const begun = Date.now();
    await until(() => sockets.length === 5);
    assert.ok(Date.now() - begun >= TIMES.longestRetry - 5);
  });

  it('is left alone while nobody looks, and tried at once after', async () => {
    const said = start();
    sockets[0].onopen!();
    sockets[0].heartbeat();
    isHidden = true;
    sockets[0].onclose!();
    await pause(TIMES.tick * TIMES.silence * 2);
    assert.deepEqual([asked, said.includes('silent')], [0, false]);
    isHidden = false;
    feed.wake();
    assert.equal(asked, 1);
    await until(() => sockets.length === 2);
  });
});
