import { instantOf } from '../../brands.ts'
import { badInput } from '../../errors.ts'
import type { User } from '../../integration.ts'
import type { Store } from '../../store/store.ts'
import type { DryRun } from '../change.ts'
import { findUser, type Ref } from '../find.ts'
import { alreadyExists, checkName, unprintable } from '../names.ts'
import { refuseAdopted } from './workspaces.ts'

/** Adds a user. @throws BAD_INPUT, ALREADY_EXISTS, NOT_PERMITTED in an adopted database */
export const addUser = (store: Store, { email, name }: Pick<User, 'email' | 'name'>, options: DryRun): Promise<User> =>
  store.mutate(
    async (tx) => {
      refuseAdopted(tx, 'users')
      // Only a mail can show whether an address works: this check finds slips.
      if (!/^[^\s@]+@[^\s@]+$/.test(email) || unprintable.test(email) || email.includes('\uFFFD') || email.length > 254)
        throw badInput('the e-mail address is not valid', 'use an address such as ana@example.com')
      if (name !== null) checkName('user', name)
      const [taken] = await tx.users.match(email)
      if (taken) throw alreadyExists('user', email, 'integrations users list')
      const id = crypto.randomUUID()
      await tx.users.insert({ id, email, name }, tx.now)
      await tx.record({ action: 'user.add', target: { type: 'user', id, name: email } })
      return { id, email, name, createdAt: instantOf(tx.now) }
    },
    { ...options, withModels: true },
  )

/** Removes a user; the integrations of the user stay, without a creator. @throws NOT_FOUND, NOT_PERMITTED in an adopted database */
export const removeUser = (store: Store, ref: Ref, options: DryRun): Promise<User> =>
  store.mutate(async (tx) => {
    refuseAdopted(tx, 'users')
    const user = await findUser(tx, ref)
    const created = await tx.users.remove(user.id)
    await tx.record({ action: 'user.remove', target: { type: 'user', id: user.id, name: user.email } })
    for (const target of created) await tx.record({ action: 'integration.update', target, fields: ['created_by'] })
    return user
  }, options)
