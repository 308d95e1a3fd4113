import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  capacityParts,
  formatBytes,
  formatResources,
  GIB,
  imageLabel,
  magicFor,
  MIB,
  parseMemory
} from '../src/format';

describe('memory', () => {
  it('reads the suffixes of the server', () => {
    assert.equal(parseMemory('512m'), 512 * MIB);
    assert.equal(parseMemory('1.5g'), 1.5 * GIB);
    assert.equal(parseMemory('24117248k'), 23 * GIB);
    assert.equal(parseMemory('1024'), 1024);
    assert.equal(parseMemory('2 GiB'), 2 * GIB);
    assert.ok(Number.isNaN(parseMemory('lots')));
  });

  it('is shown in the unit people would choose', () => {
    assert.equal(formatBytes(512 * MIB), '512 MiB');
    assert.equal(formatBytes(1.25 * GIB), '1.3 GiB');
    assert.equal(formatBytes(GIB - 1), '1 GiB');
    assert.equal(formatBytes(0), '0 B');
  });
});

describe('resources', () => {
  it('come in the usual order, without what is none', () => {
    const resources = { 'cuda.device': '1', mem: '512m', cpu: '1', tpu: '0' };
    assert.equal(formatResources(resources), '1 CPU · 512 MiB · 1 GPU');
    assert.equal(formatResources(undefined), '');
  });

  it('are shown as they are when their amount cannot be read', () => {
    assert.equal(formatResources({ mem: 'some' }), 'some');
  });
});

describe('capacity', () => {
  it('says what is free in the unit of the total', () => {
    const capacity = {
      'cuda.device': { total: '2', free: '1' },
      cpu: { total: '2', free: '2' },
      mem: { total: '22g', free: '20582m' },
      tpu: { total: '0', free: '0' }
    };
    assert.deepEqual(capacityParts(capacity), [
      '2 of 2 CPU',
      '20.1 of 22 GiB',
      '1 of 2 GPU'
    ]);
  });

  it('keeps to a smaller unit what would be a vague part of a big one', () => {
    const mem = { total: '2t', free: '700g' };
    assert.deepEqual(capacityParts({ mem }), ['700 GiB of 2 TiB']);
  });

  it('is nothing for none', () => {
    assert.deepEqual(capacityParts(null), []);
  });
});

it('the magic names the session', () => {
  assert.equal(magicFor('cluster/demo'), '%%session cluster/demo');
});

it('images lose what many have in common', () => {
  assert.equal(imageLabel('cr.io/stable/python:3.11'), 'python:3.11');
  assert.equal(imageLabel('python3'), 'python3');
  assert.equal(imageLabel('/opt/conda/bin/python'), '/opt/conda/bin/python');
});
