import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { fateOf, foldersOf } from '../src/form/choices';
import { FormModel, type ICreator } from '../src/form/model';
import { ApiError } from '../src/request';
import type { IBackend, ISessionSpec } from '../src/types';
import { backend, session, trans } from './helpers';

const small = { name: 'small', resources: { cpu: '1', mem: '1536m' } };
const big = {
  name: 'big',
  resources: { cpu: '2', mem: '16g', 'cuda.device': '2' },
  shared_memory: '1g'
};

/** A backend with a choice of everything. */
function choosy(more: Partial<IBackend> = {}): IBackend {
  return backend({
    name: 'cluster',
    type: 'backendai',
    images: [
      { name: 'lab', types: ['notebook', 'desktop'] },
      { name: 'any', types: [] },
      { name: 'job', types: ['headless'] }
    ],
    sizes: [small, big],
    groups: [
      { name: 'cpu-nodes', most: { cpu: '1' } },
      { name: 'gpu-nodes', longest: 3600 }
    ],
    projects: ['astro'],
    folders: [{ name: 'data' }, { name: '.config', automatic: true }],
    storage: { about: 'gone', needs_mount: true },
    ...more
  });
}

function open(offers = choosy()): { form: FormModel; specs: ISessionSpec[] } {
  const specs: ISessionSpec[] = [];
  const creator: ICreator = {
    backends: [offers, backend()],
    defaultBackend: offers.name,
    live: () => [],
    create: async spec => {
      specs.push(spec);
      return session('made');
    }
  };
  return { form: new FormModel(creator, trans), specs };
}

async function sent(fill: (form: FormModel) => void): Promise<ISessionSpec> {
  const { form, specs } = open();
  fill(form);
  await form.submit();
  return specs[0];
}

describe('a choice', () => {
  it('that is left open is not sent', async () => {
    const spec = await sent(form => form.selectImage('any'));
    assert.deepEqual(Object.keys(spec).sort(), [
      'backend',
      'image',
      'resources',
      'reuse_if_exists'
    ]);
  });

  it('of project, group and folders is sent', async () => {
    const spec = await sent(form => {
      form.set('group', { project: 'astro' });
      form.set('resource_group', { group: 'gpu-nodes' });
      form.mount('data', true);
      form.mount('scratch', true);
      form.mount('scratch', false);
    });
    const { group, resource_group, mounts } = spec;
    assert.deepEqual(
      [group, resource_group, mounts],
      ['astro', 'gpu-nodes', ['data']]
    );
  });

  it('of a group brings its limits', () => {
    const { form } = open();
    form.setAmount('cpu', { cpu: '2' });
    assert.equal(form.checker.errors(form.values).cpu, undefined);
    form.set('resource_group', { group: 'cpu-nodes' });
    assert.match(String(form.checker.errors(form.values).cpu), /1 CPU at most/);
    form.set('resource_group', { group: 'gpu-nodes' });
    assert.equal(form.checker.errors(form.values).cpu, undefined);
  });

  it('is over when another backend is chosen', () => {
    const { form } = open();
    form.mount('data', true);
    form.selectSize('big');
    form.selectBackend('local');
    assert.deepEqual(form.values.folders, []);
    assert.equal(form.values.size, null);
  });

  it('has a place for its refusal where it is offered', () => {
    const { form } = open();
    assert.deepEqual(form.fields.slice(-4), [
      'type',
      'group',
      'resource_group',
      'mounts'
    ]);
    form.selectBackend('local');
    assert.equal(form.fields.includes('mounts'), false);
  });

  it('is not offered of what the backend does nothing with', () => {
    const some = choosy({ takes: ['group'] });
    const { form } = open(some);
    assert.deepEqual(
      ['group', 'resource_group'].filter(name => form.fields.includes(name)),
      ['group']
    );
    assert.deepEqual(foldersOf(some).mountable, []);
  });
});

describe('a size', () => {
  it('fills in the amounts, exactly', async () => {
    const spec = await sent(form => form.selectSize('small'));
    assert.deepEqual(spec.resources, { cpu: '1', mem: '1536m' });
    assert.equal(spec.resource_opts, undefined);
  });

  it('brings its accelerators and shared memory', async () => {
    const spec = await sent(form => form.selectSize('big'));
    const { resources, resource_opts } = spec;
    assert.deepEqual(resources, { ...big.resources, mem: '16384m' });
    assert.deepEqual(resource_opts, { shmem: '1g' });
  });

  it('takes its accelerators away again', () => {
    const { form } = open();
    form.selectSize('big');
    form.selectSize('small');
    assert.deepEqual(form.values.accelerators, { 'cuda.device': '0' });
  });

  it('is none any more once an amount is another', async () => {
    const spec = await sent(form => {
      form.selectSize('big');
      form.setAmount('cpu', { cpu: '1' });
      assert.equal(form.values.size, null);
    });
    assert.equal(spec.resources?.['cuda.device'], '2');
    assert.equal(spec.resource_opts, undefined);
  });

  it('that is larger than the backend says so at once', () => {
    const large = { name: 'large', resources: { cpu: '64', mem: '1g' } };
    const { form } = open(choosy({ sizes: [large] }));
    form.selectSize('large');
    assert.equal(form.errors.cpu, 'This machine has 2 CPU.');
  });
});

describe('the type of session', () => {
  it('is the usual one of the image until another is chosen', async () => {
    assert.equal((await sent(() => undefined)).type, 'notebook');
    const spec = await sent(form => form.set('type', { type: 'desktop' }));
    assert.equal(spec.type, 'desktop');
  });

  it('goes with the image', async () => {
    const spec = await sent(form => {
      form.set('type', { type: 'desktop' });
      form.selectImage('job');
    });
    assert.equal(spec.type, 'headless');
  });
});

describe('files', () => {
  it('are at risk until a folder is chosen', () => {
    const bare = choosy({ folders: [{ name: 'data' }] });
    assert.equal(fateOf(bare, []), 'lost');
    assert.equal(fateOf(bare, ['data']), 'kept');
  });

  it('are safe in folders that are mounted always, and only there', () => {
    assert.equal(fateOf(choosy(), []), 'lost-but-automatic');
  });

  it('stay where the backend deletes none', () => {
    assert.equal(
      fateOf(choosy({ storage: { about: 'kept', needs_mount: false } }), []),
      'kept'
    );
  });
});

describe('a kernel', () => {
  it('is made of image and amounts', () => {
    const { form } = open();
    form.selectSize('small');
    assert.deepEqual(form.kernel(), {
      backend: 'cluster',
      image: 'lab',
      resources: { cpu: '1', mem: '1536m' }
    });
  });

  it('is refused what it would not keep', () => {
    const { form } = open();
    form.mount('data', true);
    assert.equal(form.kernel(), null);
    assert.ok(form.refusal instanceof ApiError);
    assert.match(form.refusal.message, /keeps no folders/);
    form.mount('data', false);
    assert.equal(form.refusal, null);
  });
});
