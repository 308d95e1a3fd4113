import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Signal } from '@lumino/signaling';

import { Announcer } from '../src/announce';
import { isLive } from '../src/status';
import type { ISessionsModel } from '../src/tokens';
import type { ISession } from '../src/types';
import { session, settle, trans } from './helpers';

/** Rows as a test wants them. */
class Rows {
  isLoaded = false;
  rows: ISession[] = [];
  readonly changed = new Signal<ISessionsModel, void>({} as ISessionsModel);
  readonly populated = ['local'];

  get ended(): ISession[] {
    return this.rows.filter(row => !isLive(row));
  }

  live(): ISession[] {
    return this.rows.filter(isLive);
  }

  /** Show these rows. */
  show(status: string, ...names: string[]): void {
    this.isLoaded = true;
    const others = this.rows.filter(({ name }) => !names.includes(name));
    this.rows = [...others, ...names.map(name => session(name, { status }))];
    this.changed.emit();
  }
}

async function heard(play: (rows: Rows) => Promise<void>): Promise<string[]> {
  const said: string[] = [];
  const rows = new Rows();
  const announcer = new Announcer(rows, trans, words => said.push(words), 0);
  await play(rows);
  await settle();
  announcer.dispose();
  return said;
}

describe('what is announced', () => {
  it('is no session that was there at first', async () => {
    const said = await heard(async rows => rows.show('RUNNING', 'train'));
    assert.deepEqual(said, []);
  });

  it('is a new session, and each state it comes to', async () => {
    const said = await heard(async rows => {
      rows.show('RUNNING', 'old');
      for (const status of ['PENDING', 'CREATING', 'RUNNING', 'TERMINATED']) {
        await settle();
        rows.show(status, 'train');
      }
    });
    assert.deepEqual(said, [
      'train is waiting.',
      'train is starting.',
      'train is running.',
      'train has ended.'
    ]);
  });

  it('is only the last of states in quick succession, of several together', async () => {
    const said = await heard(async rows => {
      rows.show('PENDING', 'a', 'b');
      await settle();
      rows.show('CREATING', 'a', 'b');
      rows.show('RUNNING', 'a');
      rows.show('ERROR', 'b');
    });
    assert.deepEqual(said, ['a is running. b has failed.']);
  });

  it('is a count of many', async () => {
    const names = [...'abcde'];
    const said = await heard(async rows => {
      rows.show('PENDING', ...names);
      await settle();
      rows.show('RUNNING', ...names);
      rows.show('TERMINATED', 'e');
    });
    assert.deepEqual(said, ['5 sessions have changed. Ended: 1. Running: 4.']);
  });

  it('is not a change within a phase', async () => {
    const said = await heard(async rows => {
      rows.show('PULLING', 'train');
      await settle();
      rows.show('CREATING', 'train');
    });
    assert.deepEqual(said, []);
  });

  it('is nothing after the end', async () => {
    const rows = new Rows();
    const said: string[] = [];
    const announcer = new Announcer(rows, trans, words => said.push(words), 0);
    rows.show('PENDING', 'train');
    await settle();
    rows.show('RUNNING', 'train');
    announcer.dispose();
    await settle();
    assert.deepEqual(said, []);
  });
});
