import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import type { IFeed } from '../src/feed';
import type { IBackend, IBatch, IPosition, ISession } from '../src/types';

/** English; the real null translator is no module that node can load. */
export const trans = {
  __: (text: string, ...values: unknown[]) =>
    text.replace(/%(\d)/g, (_, place) => `${values[place - 1]}`)
} as TranslationBundle;

/** A row as the server sends it. */
export function session(id: string, more: Partial<ISession> = {}): ISession {
  return {
    backend: 'local',
    id,
    name: id,
    image: 'python3',
    type: 'interactive',
    status: 'RUNNING',
    status_info: '',
    resources: {},
    services: [],
    created_at: '2026-01-01T00:00:00Z',
    ...more
  };
}

/** The backend of this machine, with two GPUs of which one is free. */
export function backend(more: Partial<IBackend> = {}): IBackend {
  return {
    name: 'local',
    title: 'This machine',
    type: 'local',
    capabilities: ['restart'],
    health: { ok: true, message: null },
    is_default: true,
    capacity: {
      cpu: { total: '2', free: '1' },
      mem: { total: '22g', free: '20g' },
      'cuda.device': { total: '2', free: '1' }
    },
    default_resources: { cpu: '2', mem: '6g' },
    suggested_resources: more.default_resources ?? { cpu: '2', mem: '6g' },
    sizes: [],
    groups: [],
    projects: [],
    folders: [],
    storage: { about: '', needs_mount: false },
    types: ['interactive', 'batch'],
    takes: null,
    image_word: 'Environment',
    on_this_machine: true,
    first_come: true,
    sign_in: {
      methods: [],
      signed_in: false,
      remembered: false,
      who: '',
      expires: null,
      renew: ''
    },
    refused: false,
    removable: false,
    images: [{ name: 'python3', title: 'Python 3 (ipykernel)' }],
    name_rule: { pattern: '(?=.{4,64}$)\\w[\\w.-]*\\w', message: 'rule' },
    ...more
  };
}

/** A feed that a test drives. */
export class FakeFeed implements IFeed {
  readonly opened = new Signal<this, void>(this);
  readonly silent = new Signal<this, void>(this);
  readonly pushed = new Signal<this, IBatch>(this);
  readonly beat = new Signal<this, IPosition>(this);
}

type Answer = { status?: number; body: unknown };

/** A server that answers from a table and remembers what it was asked. */
export class FakeServer {
  readonly asked: string[] = [];
  readonly bodies: unknown[] = [];

  /** Whether it takes requests and answers none. */
  isStopped = false;

  constructor(readonly answers: Record<string, Answer>) {}

  get settings(): ServerConnection.ISettings {
    return ServerConnection.makeSettings({
      baseUrl: 'http://localhost/base/',
      fetch: ((request: Request) => this._answer(request)) as typeof fetch,
      Headers,
      Request,
      init: {}
    });
  }

  private async _answer(request: Request): Promise<Response> {
    if (this.isStopped) {
      return new Promise((_, reject) =>
        request.signal.addEventListener('abort', reject)
      );
    }
    const url = new URL(request.url);
    const key = `${request.method} ${url.pathname.split('/jupyter-sessions/')[1]}`;
    this.asked.push(key + url.search);
    const text = await request.text();
    this.bodies.push(text ? JSON.parse(text) : null);
    const { status = 200, body } = this.answers[key] ?? {
      status: 404,
      body: { message: 'no such route' }
    };
    return new Response(JSON.stringify(body), { status });
  }
}

/** Let everything that waits for an answer go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise(resolve => setTimeout(resolve, 0));
  }
}
