import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { SessionStore } from '../src/store';
import type { ISession } from '../src/types';
import { session } from './helpers';

function filled(...rows: ISession[]): SessionStore {
  const store = new SessionStore();
  store.replace(rows, new Set());
  return store;
}

const names = (rows: readonly ISession[]): string[] =>
  rows.map(row => row.name);

describe('the live list', () => {
  it('is newest first and grouped by backend', () => {
    const store = filled(
      session('old', { created_at: '2026-01-01T00:00:00Z' }),
      session('new', { created_at: '2026-01-02T00:00:00Z' }),
      session('far', { backend: 'cluster' })
    );
    assert.deepEqual(names(store.live('local')), ['new', 'old']);
    assert.deepEqual(names(store.live('cluster')), ['far']);
    assert.equal(store.size, 3);
  });

  it('has sessions that wait and have no time yet first, and others without a time last', () => {
    const untimed = { created_at: undefined };
    const store = filled(
      session('leaving', { ...untimed, status: 'TERMINATING' }),
      session('runs'),
      session('waits', { ...untimed, status: 'PENDING' })
    );
    assert.deepEqual(names(store.live('local')), ['waits', 'runs', 'leaving']);
    store.apply([
      {
        op: 'put',
        session: session('waits', { created_at: '2025-12-31T00:00:00Z' })
      }
    ]);
    assert.deepEqual(names(store.live('local')), ['runs', 'waits', 'leaving']);
  });

  it('takes a changed row in its place', () => {
    const store = filled(session('a'), session('b'));
    assert.deepEqual(names(store.live('local')), ['a', 'b']);
    store.apply([
      { op: 'put', session: session('b', { status: 'RESTARTING' }) }
    ]);
    assert.equal(store.live('local')[1].status, 'RESTARTING');
  });

  it('sorts anew when a row is renamed or added', () => {
    const store = filled(session('a'), session('b'));
    store.live('local');
    store.apply([
      { op: 'put', session: session('a', { name: 'z' }) },
      { op: 'put', session: session('c') }
    ]);
    assert.deepEqual(names(store.live('local')), ['b', 'c', 'z']);
  });

  it('keeps the rows of a backend that could not answer', () => {
    const store = filled(session('a'), session('b', { backend: 'cluster' }));
    const { vanished } = store.replace([], new Set(['cluster']));
    assert.deepEqual(names(vanished), ['a']);
    assert.deepEqual(names(store.live('cluster')), ['b']);
  });
});

describe('an end', () => {
  const gone = session('a', { status: 'TERMINATED', status_info: 'oom' });

  it('moves the row and is reported once', () => {
    const store = filled(session('a'));
    const first = store.apply([{ op: 'put', session: gone }]);
    const again = store.apply([{ op: 'put', session: gone }]);
    assert.deepEqual(first.settled, [gone]);
    assert.deepEqual(again.settled, []);
    assert.equal(store.size, 0);
    assert.deepEqual(store.ended, [gone]);
  });

  it('is reported for a session that was never seen to live', () => {
    assert.deepEqual(
      new SessionStore().apply([{ op: 'put', session: gone }]).settled,
      [gone]
    );
  });

  it('is not undone by an answer that was overtaken', () => {
    const store = filled(session('a'));
    store.apply([
      {
        op: 'put',
        session: { ...gone, status_changed: '2026-01-01T00:00:02Z' }
      }
    ]);
    store.offer(
      session('a', {
        status: 'TERMINATING',
        status_changed: '2026-01-01T00:00:01Z'
      })
    );
    assert.equal(store.size, 0);
  });

  it('with no word is told as vanished', () => {
    const store = filled(session('a'));
    const remove = { op: 'remove', backend: 'local', id: 'a' } as const;
    assert.deepEqual(names(store.apply([remove]).vanished), ['a']);
    assert.deepEqual(store.apply([remove]).vanished, []);
  });

  it('is let go after many others', () => {
    const store = new SessionStore();
    for (let n = 0; n < 60; n++) {
      store.keepEnded(session(`s${n}`, { status: 'TERMINATED' }));
    }
    assert.equal(store.ended.length, 50);
    assert.equal(store.ended[0].name, 's59');
  });
});

describe('an error', () => {
  it('is reported once and stays in the live list', () => {
    const store = filled(session('a'));
    const failed = session('a', { status: 'ERROR' });
    assert.deepEqual(store.apply([{ op: 'put', session: failed }]).settled, [
      failed
    ]);
    assert.deepEqual(store.apply([{ op: 'put', session: failed }]).settled, []);
    assert.equal(store.size, 1);
  });

  it('that was there at first is no news, one found by a reload is', () => {
    const failed = session('a', { status: 'ERROR' });
    const store = new SessionStore();
    assert.deepEqual(store.replace([failed], new Set()).settled, []);
    store.apply([{ op: 'put', session: session('a') }]);
    assert.deepEqual(store.replace([failed], new Set()).settled, [failed]);
  });
});

it('ten thousand rows are sorted once and changed in place', () => {
  const rows = Array.from({ length: 10_000 }, (_, n) => session(`s${n}`));
  const store = filled(...rows);
  const before = store.live('local');
  store.apply([{ op: 'put', session: session('s5', { status: 'ERROR' }) }]);
  assert.equal(store.live('local'), before);
});
