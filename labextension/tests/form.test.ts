import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { limitOf } from '../src/form/limits';
import { FormModel, type ICreator } from '../src/form/model';
import { ApiError } from '../src/request';
import type { IBackend, ISession, ISessionSpec } from '../src/types';
import { backend, session, trans } from './helpers';

class FakeCreator implements ICreator {
  readonly defaultBackend = 'local';
  readonly specs: ISessionSpec[] = [];
  error: unknown = null;

  constructor(readonly backends: IBackend[] = [backend()]) {}

  rows: ISession[] = [];

  live(): ISession[] {
    return this.rows;
  }

  async create(spec: ISessionSpec): ReturnType<ICreator['create']> {
    this.specs.push(spec);
    if (this.error) {
      throw this.error;
    }
    return session('made');
  }
}

function open(creator = new FakeCreator()): FormModel {
  return new FormModel(creator, trans);
}

describe('a fresh form', () => {
  it('holds the defaults of the backend and complains of nothing', () => {
    const { values, errors } = open();
    assert.deepEqual(errors, {});
    assert.equal(values.image, 'python3');
    assert.equal(values.cpu, '2');
    assert.deepEqual([values.memory, values.memoryUnit], ['6', 'GiB']);
    assert.deepEqual(values.accelerators, { 'cuda.device': '0' });
  });

  it('has Python chosen, wherever it stands among the environments', () => {
    const images = [{ name: 'ir' }, { name: 'python3' }];
    const { values } = open(new FakeCreator([backend({ images })]));
    assert.equal(values.image, 'python3');
    const others = [{ name: 'lab/desk:1' }, { name: 'lab/job:1' }];
    const remote = open(new FakeCreator([backend({ images: others })]));
    assert.equal(remote.values.image, 'lab/desk:1');
  });

  it('asks for a new session, without what was left open', async () => {
    const creator = new FakeCreator();
    await open(creator).submit();
    assert.deepEqual(creator.specs, [
      {
        backend: 'local',
        image: 'python3',
        resources: { cpu: '2', mem: '6144m' },
        reuse_if_exists: false
      }
    ]);
  });

  it('takes what one session can have, not what there is in all', () => {
    const capacity = { cpu: { total: '4', free: '4', most: '2' } };
    const offers = backend({ capacity });
    assert.equal(limitOf(offers, 'cpu').most, 2);
    const form = open(new FakeCreator([offers]));
    form.setAmount('cpu', { cpu: '4' });
    assert.equal(
      form.errors.cpu,
      'A session on This machine can have 2 CPU at most.'
    );
  });

  it('has no accelerators where the backend has none', () => {
    const capacity = { 'cuda.device': { total: '0', free: '0' } };
    const form = open(new FakeCreator([backend({ capacity })]));
    assert.deepEqual(form.values.accelerators, {});
  });
});

describe('what is typed', () => {
  it('is checked against the name rule', () => {
    const form = open();
    form.set('name', { name: 'a b' });
    assert.equal(form.errors.name, 'rule');
    form.set('name', { name: 'demo' });
    assert.deepEqual(form.errors, {});
  });

  it('cannot exceed what the backend has', () => {
    const form = open();
    form.set('cpu', { cpu: '3' });
    assert.equal(form.errors.cpu, 'This machine has 2 CPU.');
  });

  it('must be a number, and of CPU and memory more than none', () => {
    const form = open();
    form.set('cpu', { cpu: '' });
    form.set('mem', { memory: '0' });
    form.set('cuda.device', { accelerators: { 'cuda.device': '' } });
    assert.equal(form.errors.cpu, 'Enter a number.');
    assert.equal(form.errors.mem, 'Must be more than 0.');
    assert.equal(form.errors['cuda.device'], 'Enter a number.');
  });

  it('is told what is free when there is more, but not now', () => {
    const { checker } = open();
    assert.equal(checker.note('cuda.device', 2), 'Only 1 GPU free now.');
    assert.equal(checker.note('mem', 1), '20 of 22 GiB free');
  });

  it('is not sent while it is wrong', async () => {
    const creator = new FakeCreator();
    const form = open(creator);
    form.set('cpu', { cpu: '9' });
    assert.equal(await form.submit(), null);
    assert.equal(creator.specs.length, 0);
  });
});

describe('a refusal', () => {
  it('stands at the field it names until that is changed', async () => {
    const creator = new FakeCreator();
    creator.error = new ApiError(
      'Too much.',
      412,
      'Ask less.',
      'resources.mem'
    );
    const form = open(creator);
    form.set('name', { name: 'demo' });
    assert.equal(await form.submit(), null);
    assert.deepEqual(form.errors, { mem: 'Too much. Ask less.' });
    assert.equal(form.values.name, 'demo');
    form.set('mem', { memory: '1' });
    assert.deepEqual(form.errors, {});
  });

  it('about no field is kept for the form', async () => {
    const creator = new FakeCreator();
    creator.error = new ApiError('quota', 412, 'Terminate one.');
    const form = open(creator);
    await form.submit();
    assert.equal(form.refusal?.message, 'quota');
    assert.equal(form.isBusy, false);
  });
});

it('another backend brings its own defaults and keeps the name', () => {
  const cluster = backend({
    name: 'cluster',
    images: [],
    default_resources: { cpu: '1', mem: '512m' }
  });
  const form = open(new FakeCreator([backend(), cluster]));
  form.set('name', { name: 'demo' });
  form.selectBackend('cluster');
  const { values } = form;
  assert.equal(values.name, 'demo');
  assert.deepEqual([values.memory, values.memoryUnit], ['512', 'MiB']);
  assert.equal(values.image, '');
});
