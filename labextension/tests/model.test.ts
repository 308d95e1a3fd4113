import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { SessionsApi } from '../src/api';
import { SessionsModel } from '../src/model';
import { NEEDS_FORCE, NO_ANSWER } from '../src/request';
import type { IOutcome } from '../src/tokens';
import type { Change } from '../src/vocabulary';
import { backend, FakeFeed, FakeServer, session, settle } from './helpers';

const put = (id: string, more = {}): Change => ({
  op: 'put',
  session: session(id, more)
});

const listing = (rev: number, more = {}): { body: unknown } => ({
  body: { epoch: 'e', rev, errors: {}, ...more }
});

async function started(answers = {}): Promise<{
  feed: FakeFeed;
  model: SessionsModel;
  outcomes: IOutcome[];
  server: FakeServer;
}> {
  const feed = new FakeFeed();
  const server = new FakeServer({
    'GET sessions': listing(3, { sessions: [session('a')] }),
    ...answers
  });
  const model = new SessionsModel(new SessionsApi(server.settings), feed);
  const outcomes: IOutcome[] = [];
  model.settled.connect((_, news) => outcomes.push(...news));
  await model.resync();
  server.asked.length = 0;
  return { feed, model, outcomes, server };
}

describe('a session that only force ends', () => {
  it('is ended once that is asked for', async () => {
    const { model, server } = await started({
      'DELETE sessions/local/a': {
        status: 403,
        body: { message: 'It starts.', reason: 'NeedsForce', hint: 'Wait.' }
      }
    });
    const ref = { backend: 'local', id: 'a' };
    await assert.rejects(model.terminate(ref), { reason: NEEDS_FORCE });
    server.answers['DELETE sessions/local/a'] = {
      body: session('a', { status: 'TERMINATING', status_changed: '2026' })
    };
    await model.terminate(ref, true);
    assert.deepEqual(server.asked, [
      'DELETE sessions/local/a',
      'DELETE sessions/local/a?forced=true'
    ]);
  });
});

describe('pushes', () => {
  it('are taken in order without asking', async () => {
    const { feed, model, server } = await started();
    feed.pushed.emit({ epoch: 'e', rev: 4, changes: [put('b')] });
    feed.pushed.emit({ epoch: 'e', rev: 4, changes: [put('x')] });
    await settle();
    assert.equal(model.size, 2);
    assert.deepEqual(server.asked, []);
  });

  it('with a gap make it ask what it missed', async () => {
    const { feed, model, server } = await started();
    server.answers['GET sessions'] = listing(6, {
      changes: [put('b'), put('c')]
    });
    feed.pushed.emit({ epoch: 'e', rev: 6, changes: [put('c')] });
    await settle();
    assert.equal(model.size, 3);
    assert.equal(server.asked.length, 1);
    assert.match(server.asked[0], /^GET sessions\?since=3&epoch=e$/);
  });

  it('of a new epoch make it load the list', async () => {
    const { feed, model, server } = await started();
    server.answers['GET sessions'] = listing(1, {
      epoch: 'f',
      sessions: [session('z')]
    });
    feed.pushed.emit({ epoch: 'f', rev: 1, changes: [] });
    await settle();
    assert.deepEqual(
      model.live('local').map(row => row.name),
      ['z']
    );
  });

  it('that come during a load are taken after it', async () => {
    const { feed, model, server } = await started();
    server.answers['GET sessions'] = listing(4, { changes: [put('b')] });
    const loading = model.resync();
    feed.pushed.emit({ epoch: 'e', rev: 4, changes: [put('b')] });
    feed.pushed.emit({ epoch: 'e', rev: 5, changes: [put('c')] });
    await loading;
    assert.equal(model.size, 3);
    assert.equal(server.asked.length, 1);
  });

  it('tell of other kernels, also late', async () => {
    const { feed, model, server } = await started();
    let told = 0;
    model.kernelsChanged.connect(() => told++);
    feed.pushed.emit({ epoch: 'e', rev: 4, changes: [put('b')] });
    assert.equal(told, 0);
    feed.pushed.emit({ epoch: 'e', rev: 5, changes: [{ op: 'kernels' }] });
    assert.equal(told, 1);
    server.answers['GET sessions'] = listing(7, {
      changes: [put('c'), { op: 'kernels' }]
    });
    feed.pushed.emit({ epoch: 'e', rev: 7, changes: [put('c')] });
    await settle();
    assert.equal(told, 2);
  });

  it('may have been missed when the connection was made again', async () => {
    const { feed, server } = await started();
    feed.opened.emit();
    await settle();
    assert.equal(server.asked.length, 1);
  });
});

describe('a heartbeat', () => {
  it('makes it ask for what it missed, and only then', async () => {
    const { feed, model, server } = await started();
    feed.beat.emit({ epoch: 'e', rev: 3 });
    feed.beat.emit({ epoch: 'e', rev: 2 });
    await settle();
    assert.deepEqual(server.asked, []);
    server.answers['GET sessions'] = listing(4, { changes: [put('b')] });
    feed.beat.emit({ epoch: 'e', rev: 4 });
    await settle();
    assert.equal(model.size, 2);
    feed.beat.emit({ epoch: 'f', rev: 0 });
    await settle();
    assert.equal(server.asked.length, 2);
  });

  it('that is missed makes the list old, until the server is back', async () => {
    const { feed, model, server } = await started();
    const before = model.upToDate;
    feed.silent.emit();
    assert.equal(model.failure?.status, NO_ANSWER);
    assert.equal(model.upToDate, before);
    assert.equal(model.size, 1);
    server.answers['GET sessions'] = listing(0, { epoch: 'f', sessions: [] });
    feed.opened.emit();
    await settle();
    assert.equal(model.failure, null);
    assert.equal(model.size, 0);
  });

  it('that is missed gives up a list that is not answered', async () => {
    const { feed, model, server } = await started();
    server.isStopped = true;
    const loading = model.resync();
    feed.silent.emit();
    await loading;
    assert.equal(model.failure?.status, NO_ANSWER);
    server.isStopped = false;
    await model.resync();
    assert.equal(model.failure, null);
  });
});

describe('ends', () => {
  const end = { status: 'TERMINATED', status_info: 'out of memory' };

  it('that nobody asked for are unexpected', async () => {
    const { feed, outcomes } = await started();
    feed.pushed.emit({ epoch: 'e', rev: 4, changes: [put('a', end)] });
    assert.equal(outcomes[0].session.status_info, 'out of memory');
    assert.equal(outcomes[0].expected, false);
  });

  it('asked for here or elsewhere are expected', async () => {
    const { feed, model, outcomes } = await started({
      'DELETE sessions/local/a': {
        status: 202,
        body: session('a', { status: 'TERMINATING', status_changed: '2026' })
      }
    });
    await model.terminate({ backend: 'local', id: 'a' });
    assert.equal(model.live('local')[0].status, 'TERMINATING');
    const wish = { ...end, status_info: 'user-requested' };
    feed.pushed.emit({
      epoch: 'e',
      rev: 4,
      changes: [put('a', end), put('b', wish)]
    });
    assert.deepEqual(
      outcomes.map(outcome => outcome.expected),
      [true, true]
    );
  });

  it('of sessions that just vanished are asked after', async () => {
    const { feed, model, outcomes } = await started({
      'GET sessions/local/a': { body: session('a', end) }
    });
    const remove = { op: 'remove', backend: 'local', id: 'a' } as const;
    feed.pushed.emit({ epoch: 'e', rev: 4, changes: [remove] });
    await settle();
    assert.equal(outcomes.length, 1);
    assert.equal(model.ended[0].status_info, 'out of memory');
  });
});

describe('requests', () => {
  it('to create show the row at once', async () => {
    const { model, server } = await started({
      'POST sessions': { status: 202, body: session('new') }
    });
    const spec = { resources: { cpu: '1' }, reuse_if_exists: false };
    await model.create(spec);
    assert.equal(model.size, 2);
    assert.deepEqual(server.bodies.pop(), spec);
  });

  it('that are refused say what the server said', async () => {
    const { model } = await started({
      'POST sessions': {
        status: 409,
        body: { message: 'taken', hint: 'another', field: 'name' }
      }
    });
    await assert.rejects(
      model.create({ resources: {}, reuse_if_exists: false }),
      { message: 'taken', hint: 'another', field: 'name', status: 409 }
    );
  });
});

describe('trouble', () => {
  it('of the server is kept until it is over, and the rows with it', async () => {
    const { model, server } = await started();
    const good = server.answers['GET sessions'];
    server.answers['GET sessions'] = { status: 500, body: { message: 'no' } };
    await model.resync();
    assert.equal(model.failure?.message, 'no');
    assert.equal(model.size, 1);
    server.answers['GET sessions'] = good;
    await model.resync();
    assert.equal(model.failure, null);
  });

  it('of a backend follows its health', async () => {
    const { model, server } = await started();
    const sick = backend({ health: { ok: false, message: 'down' } });
    server.answers['GET backends'] = { body: { backends: [sick] } };
    await model.loadBackends();
    assert.deepEqual(model.errors, { local: 'down' });
    const well = backend({ health: { ok: true, message: null } });
    server.answers['GET backends'] = { body: { backends: [well] } };
    await model.loadBackends();
    assert.deepEqual(model.errors, {});
    assert.equal(model.defaultBackend, 'local');
  });
});
