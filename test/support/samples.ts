/** Values that look like what the platforms issue, put together here so that no scanner takes them for leaked ones. */

/** A Slack signing secret; another for every number. */
export const signingSecret = (n = 1): string => n.toString(16).padStart(2, '0').repeat(16)

/** A Slack bot token. */
export const botToken = (n = 1): string => ['xox', 'b-1111111111-2222222222-', String(n).padStart(24, 'a')].join('')

/** A Slack refresh token. */
export const refreshToken = (n = 1): string => ['xox', 'e-1-', String(n).padStart(146, 'R')].join('')

/** An id made by this program, in place of which comparisons put `<id>`. */
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
/** An instant in output. */
export const instant = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g

/** Output with what differs from run to run taken out. */
export const stable = (text: string): string => text.replace(uuid, '<id>').replace(instant, '<instant>')
