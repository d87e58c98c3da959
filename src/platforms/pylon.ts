import { definePlatform } from './platform.ts'

const tokens = 'https://app.usepylon.com/settings/api-tokens'

/** Pylon (usepylon.com, customer support; not getpylon.com, whose webhook scheme much public code confuses with it). */
export const pylon = definePlatform({
  id: 'pylon',
  title: 'Pylon',
  secrets: {
    webhookSecret: {
      label: 'webhook secret',
      variable: 'WEBHOOK_SECRET',
      required: true,
      // Whether Pylon takes a value made elsewhere is not documented.
      issuer: 'either',
      page: 'https://docs.usepylon.com/pylon-docs/developer/webhooks',
      shapes: [],
    },
    accessToken: {
      label: 'API token',
      variable: 'API_TOKEN',
      required: true,
      issuer: 'platform',
      page: tokens,
      shapes: [],
    },
  },
  ids: {
    // What `GET /me` returns is the organization, the tenant that the token belongs to.
    pylonAccountId: { label: 'organization id' },
  },
  config: {
    type: 'object',
    properties: {
      pylonEvents: {
        description: 'The event names to handle; all of them when absent. They are what your webhook template sends.',
        type: 'array',
        uniqueItems: true,
        items: { type: 'string', minLength: 1 },
      },
      pylonEventPath: {
        description: 'JSON pointer (RFC 6901) to the event name in the body, as in /event_type.',
        type: 'string',
        pattern: '^(/([^~/]|~0|~1)*)*$',
      },
      pylonRegion: { description: 'The region of the organization.', enum: ['us', 'eu'] },
      pylonSignature: {
        description: 'What the signature covers: the body, or "<timestamp>.<body>".',
        enum: ['body', 'timestamped'],
      },
    },
  },
})
