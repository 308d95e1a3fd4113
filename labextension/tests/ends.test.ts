import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { accessWarnings, isExpiring, sessionWarnings } from '../src/ends';
import type { IExpiry } from '../src/types';
import { session } from './helpers';

const NOW = Date.parse('2026-11-20T12:00:00Z');

function endsIn(minutes: number) {
  const ends_at = new Date(NOW + minutes * 60000).toISOString();
  return session('demo', { ends_at, ends_why: 'idle' });
}

describe('the end of a session', () => {
  it('is warned of once at ten minutes and once at two', () => {
    const warnings = sessionWarnings();
    const count = [11, 10, 9, 3, 2, 1].map(
      left => warnings.due([endsIn(left)], NOW).length
    );
    assert.deepEqual(count, [0, 1, 0, 0, 1, 0]);
  });

  it('is warned of anew after it was put off', () => {
    const warnings = sessionWarnings();
    const count = [2, 30, 10].map(
      left => warnings.due([endsIn(left)], NOW).length
    );
    assert.deepEqual(count, [1, 0, 1]);
  });

  it('is near until it was put off, or is over', () => {
    const warnings = sessionWarnings();
    const near = [10.5, 9.5, 1, 30, 9, -1].map(left => {
      warnings.due([endsIn(left), session('other')], NOW);
      return warnings.near.length;
    });
    assert.deepEqual(near, [0, 1, 1, 0, 1, 0]);
  });
});

describe('the end of an access', () => {
  const DAY = 24 * 60;

  function expiresIn(minutes: number): [string, IExpiry] {
    const at = new Date(NOW + minutes * 60000).toISOString();
    return ['cluster', { at, renew: 'canfar login', title: 'Cluster' }];
  }

  /** The same end, seen so many minutes before. */
  function seen(lefts: number[], warnings = accessWarnings()): number[] {
    const end = expiresIn(5 * DAY);
    return lefts.map(left => {
      const now = Date.parse(end[1].at) - left * 60000;
      return warnings.due([end], now).length;
    });
  }

  it('is warned of once three days before and once an hour before', () => {
    const lefts = [5 * DAY, 3 * DAY, 2 * DAY, 61, 60, 59, 1, 0, -1];
    assert.deepEqual(seen(lefts), [0, 1, 0, 0, 1, 0, 0, 0, 0]);
  });

  it('is not warned of again on another visit', () => {
    const first = accessWarnings();
    assert.deepEqual(seen([2 * DAY], first), [1]);
    const later = accessWarnings(Object.entries(first.given));
    assert.deepEqual(seen([2 * DAY, 30], later), [0, 1]);
  });

  it('is warned of anew when another one expires', () => {
    const warnings = accessWarnings();
    assert.equal(warnings.due([expiresIn(30)], NOW).length, 1);
    assert.equal(warnings.due([expiresIn(50)], NOW).length, 1);
  });

  it('is shown while it is near and once it is over', () => {
    const near = [4 * DAY, 2 * DAY, -1].map(minutes =>
      isExpiring(expiresIn(minutes)[1].at, NOW)
    );
    assert.deepEqual(near, [false, true, true]);
  });
});
