import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  isOver,
  listResources,
  resourcesAgain,
  specAgain,
  wordsForEnd
} from '../src/recreate';
import { isOpenElsewhere, othersAt, whenAlone } from '../src/collaborators';
import { backend, session, trans } from './helpers';

const resources = { cpu: '0.5', mem: '512m' };
const ended = session('beta', {
  status: 'TERMINATED',
  status_info: 'user-requested',
  terminated_at: '2026-01-01T12:56:00',
  image: 'python3',
  resources
});
const status_info = 'out of memory: it used more than its 512m';
const oom = { ...ended, status_info };

describe('a session that ended', () => {
  it('is told with time and reason', () => {
    assert.match(
      wordsForEnd(ended, trans),
      /^Session 'beta' ended at 12:56.*\(on request\)\.$/
    );
    assert.match(
      wordsForEnd(oom, trans),
      /^Session 'beta' ended at .*: out of memory: it used more than its 512m\.$/
    );
    const failed = session('x', { status: 'ERROR', status_info: '' });
    assert.match(wordsForEnd(failed, trans), /^Session 'x' failed at .*\.$/);
    assert.deepEqual([ended, failed, session('y')].map(isOver), [
      true,
      true,
      false
    ]);
  });

  it('gets the same resources again, but more memory if that was short', () => {
    assert.equal(resourcesAgain(ended), resources);
    assert.equal(listResources(resourcesAgain(ended)), '0.5 CPU, 512 MiB');
    assert.equal(listResources(resourcesAgain(oom)), '0.5 CPU, 1 GiB');
    const small = backend({ capacity: { mem: { total: '768m', free: '0' } } });
    assert.equal(resourcesAgain(oom, small).mem, '768m');
    const tiny = backend({ capacity: { mem: { total: '256m', free: '0' } } });
    assert.equal(resourcesAgain(oom, tiny).mem, '512m');
  });

  it('is asked for again with what its backend offers', () => {
    const given = {
      ...ended,
      type: 'interactive',
      group_name: 'astro',
      resource_group: 'default',
      mounts: ['data', 'gone', '.config']
    };
    const plain = {
      backend: 'local',
      name: 'beta',
      image: 'python3',
      type: 'interactive',
      cwd: 'folder',
      resources,
      reuse_if_exists: false
    };
    assert.deepEqual(specAgain(given, resources, 'folder', backend()), plain);
    const able = backend({
      projects: ['astro'],
      groups: [{ name: 'default' }],
      folders: [{ name: 'data' }, { name: '.config', automatic: true }]
    });
    const whole = { ...given, cwd: '/home/work' };
    assert.deepEqual(specAgain(whole, resources, 'folder', able), {
      ...plain,
      cwd: '/home/work',
      group: 'astro',
      resource_group: 'default',
      mounts: ['data']
    });
  });
});

describe('other people at a notebook', () => {
  const person = (username: string): object => ({
    user: { username, display_name: username.toUpperCase() }
  });
  const shared = (...states: [number, object][]): unknown => ({
    awareness: awareness(new Map(states))
  });
  const awareness = (
    states: Map<number, object>,
    hear = new Set<unknown>()
  ) => ({
    clientID: 1,
    getLocalState: () => person('me'),
    getStates: () => states,
    on: (_: string, listener: unknown) => hear.add(listener),
    off: (_: string, listener: unknown) => hear.delete(listener)
  });

  it('are named once, without the person and nameless pages', () => {
    const document = shared(
      [1, person('me')],
      [2, person('me')],
      [3, person('eva')],
      [4, person('eva')],
      [5, {}]
    );
    assert.deepEqual(othersAt(document), ['EVA']);
  });

  it('are gone when only this page is left, which is told once', () => {
    const states = new Map([
      [1, {}],
      [2, {}]
    ]);
    const hear = new Set<() => void>();
    const document = { awareness: awareness(states, hear as Set<unknown>) };
    assert.equal(isOpenElsewhere(document), true);
    let told = 0;
    const following = whenAlone(document, () => told++);
    const tell = (): void => hear.forEach(listener => listener());
    tell();
    assert.equal(told, 0);
    states.delete(2);
    tell();
    tell();
    assert.equal(told, 1);
    assert.equal(isOpenElsewhere(document), false);
    following.dispose();
    assert.equal(hear.size, 0);
  });

  it('are none without collaboration, and their names are cut', () => {
    assert.deepEqual(othersAt(undefined), []);
    assert.deepEqual(othersAt({}), []);
    const [name] = othersAt(shared([2, person('x'.repeat(999))]));
    assert.equal(name.length, 60);
  });
});
