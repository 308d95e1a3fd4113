import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { FormModel } from '../src/form/model';
import type { IBackend, ISession } from '../src/types';
import { backend, session, trans } from './helpers';

const four = backend({
  capacity: {
    cpu: { total: '4', free: '2' },
    mem: { total: '16g', free: '12g' },
    'cuda.device': { total: '2', free: '0' }
  },
  default_resources: { cpu: '4', mem: '4g' },
  suggested_resources: { cpu: '2', mem: '4g' }
});

function row(
  name: string,
  cpu: string,
  more: Partial<ISession> = {}
): ISession {
  return session(name, { resources: { cpu, mem: '2g' }, ...more });
}

function form(rows: ISession[], offers: IBackend = four): FormModel {
  const creator = {
    backends: [offers],
    defaultBackend: offers.name,
    live: () => rows,
    create: async () => session('made')
  };
  return new FormModel(creator, trans);
}

function wait(cpu: string, rows: ISession[], offers: IBackend = four): string {
  const model = form(rows, offers);
  model.setAmount('cpu', { cpu });
  return model.wait;
}

const gamma = row('gamma', '2');
const big = row('big', '3', { status: 'PENDING', created_at: '2026-01-02' });

describe('the form starts with', () => {
  it('half of the CPUs, and says so', () => {
    const { values, checker, wait: words } = form([gamma]);
    assert.equal(values.cpu, '2');
    const note = checker.note('cpu', Number(values.cpu));
    assert.equal(note, 'Half of 4 CPUs. 2 of 4 CPU free');
    assert.equal(checker.note('cpu', 1), '2 of 4 CPU free');
    assert.equal(words, '');
  });

  it('what a configuration says, which may be another part', () => {
    const configured = backend({ default_resources: { cpu: '1' } });
    const { values, checker } = form([], {
      ...configured,
      capacity: four.capacity
    });
    assert.equal(values.cpu, '1');
    assert.equal(checker.note('cpu', 1), '2 of 4 CPU free');
  });
});

describe('a session that would wait', () => {
  it('is told for what, and who has it', () => {
    assert.equal(
      wait('3', [gamma]),
      "Will wait: 2 of 4 CPU free, 'gamma' has 2."
    );
  });

  it('is told of those that have most', () => {
    const rows = [row('a', '0.5'), row('b', '1'), row('c', '0.5'), gamma];
    assert.equal(
      wait('4', rows),
      "Will wait: 2 of 4 CPU free, 'gamma' has 2, 'b' has 1, and 2 more."
    );
  });

  it('is told of each slot that is short', () => {
    const model = form([
      row('train', '1', { resources: { 'cuda.device': '2' } })
    ]);
    model.setAmount('cuda.device', { accelerators: { 'cuda.device': '1' } });
    model.setAmount('mem', { memory: '14' });
    assert.equal(
      model.wait,
      "Will wait: 12 of 16 GiB free; 0 of 2 GPU free, 'train' has 2."
    );
  });

  it('is told behind whom, also if there is room for it alone', () => {
    const words =
      "Will wait behind 'big', which needs 3 CPUs (2 free). Second in the queue.";
    assert.equal(wait('3', [big, gamma]), words);
    assert.equal(wait('1', [big, gamma]), words);
    const later = row('later', '1', {
      status: 'PENDING',
      created_at: '2026-01-03'
    });
    assert.match(wait('1', [later, gamma, big]), /'big'.* Third in the queue/);
  });

  it('does not wait behind one that starts later or after another', () => {
    const later = { ...big, starts_at: '2999-01-01T00:00:00Z' };
    assert.equal(wait('1', [later, gamma]), '');
    const after = { ...big, dependencies: ['gamma'] };
    assert.equal(wait('1', [after, gamma]), '');
    assert.match(wait('1', [after]), /behind 'big'/);
  });

  it('is not told of a queue that nobody here knows', () => {
    const remote = { ...four, first_come: false };
    assert.equal(wait('1', [big, gamma], remote), '');
    assert.match(
      wait('3', [big, gamma], remote),
      /^Will wait: 2 of 4 CPU free/
    );
  });

  it('is not told of waiting for what there never is', () => {
    assert.equal(wait('5', [gamma]), '');
  });
});
