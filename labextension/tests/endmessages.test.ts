import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type INotifier, Message } from '../src/message';
import {
  isAtLimit,
  merged,
  wordsForEnds,
  wordsForSoon
} from '../src/endmessages';
import type { ISession } from '../src/types';
import { session, trans } from './helpers';

/** Notifications as a list, the newest last. */
class Board implements INotifier {
  shown = new Map<string, string>();
  private _count = 0;

  has(id: string): boolean {
    return this.shown.has(id);
  }

  notify(message: string): string {
    const id = `${++this._count}`;
    this.shown.set(id, message);
    return id;
  }

  update({ id, message }: { id: string; message?: string }): boolean {
    this.shown.set(id, `${message} (updated)`);
    return true;
  }

  dismiss(id: string): void {
    this.shown.delete(id);
  }

  get texts(): string[] {
    return [...this.shown.values()];
  }
}

const oom = { status: 'TERMINATED', status_info: 'out of memory' };
const idle = { status: 'TERMINATED', status_info: 'idle', ends_why: 'idle' };
const failed = { status: 'ERROR', status_info: 'no such image' };

function many(count: number, more: Partial<ISession>): ISession[] {
  return [...Array(count).keys()].map(place => session(`s${place}`, more));
}

describe('a notification', () => {
  it('is one that is updated, until it is dismissed', () => {
    const board = new Board();
    const message = new Message(board);
    message.show('one', 'error', []);
    message.show('two', 'error', []);
    assert.deepEqual(board.texts, ['two (updated)']);
    board.shown.clear(); // By the person
    assert.equal(message.isShown, false);
    message.show('three', 'error', []);
    assert.deepEqual(board.texts, ['three']);
    message.withdraw();
    message.withdraw();
    assert.deepEqual(board.texts, []);
  });
});

describe('ends that nobody asked for', () => {
  const words = (rows: ISession[]): string => wordsForEnds(rows, trans);

  it('are told with the reason, or by their number', () => {
    assert.equal(words(many(1, oom)), "Session 's0' ended: out of memory");
    assert.equal(words(many(1, failed)), "Session 's0' failed: no such image");
    assert.equal(words(many(12, oom)), '12 sessions ended unexpectedly');
    assert.equal(words(many(2, failed)), '2 sessions failed');
    assert.equal(words(many(2, idle)), '2 sessions ended at their limits');
  });

  it('are counted once, and those at limits apart', () => {
    const rows = merged(many(2, oom), many(3, oom));
    assert.equal(rows.length, 3);
    assert.deepEqual([...many(1, idle), ...many(1, oom)].map(isAtLimit), [
      true,
      false
    ]);
  });
});

describe('sessions that end soon', () => {
  const at = (minute: number, name = 'a'): ISession =>
    session(name, { ends_at: `2026-01-01T12:0${minute}:00`, ends_why: 'idle' });

  it('are told with the time, which does not grow old', () => {
    assert.match(wordsForSoon([at(5)], trans), /'a' is not used.* at 12:05/);
    const limit = { ...at(5), ends_why: 'time_limit' };
    assert.match(
      wordsForSoon([limit], trans),
      /Session 'a' reaches its time limit at 12:05/
    );
    assert.match(
      wordsForSoon([at(7), at(3, 'b')], trans),
      /^2 sessions end soon, the first at 12:03/
    );
  });
});
