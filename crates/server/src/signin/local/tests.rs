use std::{net::IpAddr, sync::Arc, time::Duration};

use hourgate_core::{
    policy::Settings,
    time::{BootTime, Clock, Now, Timestamp},
};
use hourgate_store::{
    Credential, CredentialKind, Origin, Store,
    sqlite::{Open, OsMint, SqliteStore},
};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    accounts::{
        AccountFault, Accounts, FIRST_LINK_LIFE, LINK_LIFE, Occasion, Purpose as LinkPurpose,
    },
    hashing::{Cost, tests::CHEAP},
    passkey::{PasskeyFault, authenticator::Device, challenge::Purpose},
    prove::{Outcome, PasswordRight, SecondFactor},
    seal::Seal,
    totp::Secret,
    vault::Vault,
};

const ORIGIN: &str = "https://gate.example.com";
const PASSWORD: &str = "correct horse battery";

pub(super) struct HandClock;

impl Clock for HandClock {
    fn now(&self) -> Now {
        at(0)
    }
}

/// So many seconds after the beginning, on both clocks.
pub(super) fn at(seconds: i64) -> Now {
    let begin: Timestamp = "2030-01-01T00:00:00Z".parse().expect("a time");
    let length = Duration::from_secs(u64::try_from(seconds).expect("later"));
    Now {
        wall: begin + length,
        boot: BootTime {
            boot: Uuid::from_u128(1),
            nanos: u64::try_from(length.as_nanos()).expect("short"),
        },
    }
}

pub(super) fn home() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

pub(super) fn away(last: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, last])
}

pub(super) struct World {
    dir: TempDir,
    pub(super) store: SqliteStore,
    pub(super) accounts: Accounts,
}

fn open_store(dir: &TempDir) -> SqliteStore {
    SqliteStore::open(Open {
        path: dir.path().join("db"),
        log_key: [1; 32],
        settings: Settings::default(),
        clock: Arc::new(HandClock),
        mint: Arc::new(OsMint),
    })
    .expect("a store")
}

async fn accounts_of(store: &SqliteStore, cost: Cost) -> Accounts {
    let vault = Vault::new(store.credentials().await.expect("credentials"));
    let seal = Seal::new(&[3; 32]).expect("a seal");
    Accounts::open(vault, seal, ORIGIN, cost).expect("randomness")
}

impl World {
    pub(super) async fn new() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_store(&dir);
        let accounts = accounts_of(&store, CHEAP).await;
        World { dir, store, accounts }
    }

    /// The same after a restart.
    async fn again(self, cost: Cost) -> World {
        let World { dir, store, accounts } = self;
        store.close().await;
        drop((store, accounts));
        let store = open_store(&dir);
        let accounts = accounts_of(&store, cost).await;
        World { dir, store, accounts }
    }

    pub(super) fn on(&self, from: IpAddr, now: Now) -> Occasion<'_, SqliteStore> {
        let origin = Origin {
            person: None,
            address: Some(from),
            action: "Hourgate.Access/signIn/action".to_owned(),
            target: String::new(),
            correlation: Uuid::nil(),
        };
        Occasion { store: &self.store, origin, from, now }
    }

    /// An account whose owner has set their password.
    async fn account(&self, name: &str) -> Uuid {
        let draft = self.accounts.draft(name, "").expect("a draft");
        let object = draft.object;
        let secret = self.accounts.make(self.on(home(), at(0)), draft).await.expect("made");
        let link = self.accounts.link(&secret, at(0)).expect("a link");
        let used = self.accounts.use_link(self.on(home(), at(0)), &link, PASSWORD).await;
        assert_eq!(used.expect("set"), object);
        object
    }

    async fn enter(
        &self,
        from: IpAddr,
        now: Now,
        name: &str,
        password: &str,
    ) -> Outcome<PasswordRight> {
        self.accounts.password(self.on(from, now), name, password).await
    }

    /// Sets up an app, and gives its secret.
    async fn app(&self, object: Uuid, now: Now) -> Secret {
        let proposal = self.accounts.propose_totp(object, now).expect("a proposal");
        let text = proposal.typed.replace(' ', "");
        let secret = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).expect("base32");
        let secret = Secret(secret.try_into().expect("its length"));
        let code = secret.code_at(now.wall);
        let on = self.on(home(), now);
        self.accounts.confirm_totp(on, object, &proposal.sealed, &code).await.expect("confirmed");
        secret
    }

    async fn passkey(&self, object: Uuid, id: &[u8]) -> Device {
        let mut device = Device::at(ORIGIN, "gate.example.com", id);
        let options = self.accounts.new_passkey_options(object, at(0)).expect("an account");
        let sent = device.create(&options.expect("a name")).to_string();
        let on = self.on(home(), at(0));
        self.accounts.add_passkey(on, object, "Key", sent.as_bytes()).await.expect("added");
        device
    }

    async fn use_passkey(
        &self,
        device: &Device,
        purpose: Purpose,
        now: Now,
    ) -> Result<Uuid, PasskeyFault> {
        let sent = device.get(&self.options(purpose, now)).to_string();
        self.accounts.passkey(self.on(home(), now), purpose, sent.as_bytes()).await
    }

    fn options(&self, purpose: Purpose, now: Now) -> Value {
        self.accounts.passkey_options(purpose, now).expect("randomness").expect("a name")
    }

    async fn kept(&self, kind: CredentialKind) -> Vec<Credential> {
        let all = self.store.credentials().await.expect("credentials");
        all.into_iter().filter(|one| one.kind == kind).collect()
    }
}

fn right(object: Uuid, second: &[SecondFactor]) -> Outcome<PasswordRight> {
    Outcome::Right(PasswordRight { object, second: second.to_vec() })
}

#[tokio::test]
async fn an_account_is_made_signed_in_to_reset_and_removed() {
    let world = World::new().await;
    let ann = world.account("Ann").await;
    assert_eq!(world.enter(home(), at(1), " ANN ", PASSWORD).await, right(ann, &[]));
    assert_eq!(world.enter(home(), at(1), "ann", "wrong").await, Outcome::Wrong(Some(ann)));
    assert_eq!(world.enter(home(), at(1), "bob", PASSWORD).await, Outcome::Wrong(None));
    let world = world.again(CHEAP).await;
    assert_eq!(world.enter(home(), at(2), "ann", PASSWORD).await, right(ann, &[]));
    let on = world.on(home(), at(3));
    world.accounts.set_password(on, ann, "another horse, another battery").await.expect("set");
    assert_eq!(world.enter(home(), at(4), "ann", PASSWORD).await, Outcome::Wrong(Some(ann)));
    let _app = world.app(ann, at(5)).await;
    let secret = world.accounts.reset(world.on(home(), at(6)), ann).await.expect("reset");
    let wrong = world.enter(home(), at(7), "ann", "another horse, another battery").await;
    assert_eq!(wrong, Outcome::Wrong(Some(ann)));
    let link = world.accounts.link(&secret, at(8)).expect("a link");
    let on = world.on(home(), at(8));
    world.accounts.use_link(on, &link, PASSWORD).await.expect("set");
    assert_eq!(world.enter(away(1), at(9), "ann", PASSWORD).await, right(ann, &[]));
    world.accounts.remove(world.on(home(), at(10)), ann).await.expect("removed");
    assert_eq!(world.enter(home(), at(11), "ann", PASSWORD).await, Outcome::Wrong(None));
    assert_eq!(world.store.credentials().await.expect("read"), [], "nothing of it is left");
    assert_eq!(world.accounts.list(), []);
    assert!(world.account("ann").await != ann, "the same name later is somebody else");
}

#[tokio::test]
async fn a_name_that_nobody_has_looks_like_one_that_somebody_has() {
    let world = World::new().await;
    let ann = world.account("ann").await;
    let draft = world.accounts.draft("new", "").expect("a draft");
    let new = draft.object;
    world.accounts.make(world.on(home(), at(0)), draft).await.expect("made");
    for (what, name, object) in [
        ("somebody", "ann", Some(ann)),
        ("nobody", "bob", None),
        ("no name at all", "\u{202e}", None),
        ("without a password yet", "new", Some(new)),
    ] {
        // A stranger, so that nobody is slowed by what others did.
        let from = away(u8::try_from(what.len()).expect("short"));
        let before = world.accounts.hashing.done();
        let mut waits = Vec::new();
        for _ in 0..7 {
            match world.enter(from, at(0), name, "wrong").await {
                Outcome::Wrong(whose) => assert_eq!(whose, object, "{what}"),
                Outcome::Wait(wait) => waits.push(wait.as_secs()),
                other @ (Outcome::Right(_) | Outcome::Busy) => panic!("{what}: {other:?}"),
            }
        }
        assert_eq!(waits, [1, 1], "{what}: the sixth and the seventh wait");
        assert_eq!(world.accounts.hashing.done() - before, 5, "{what}: one hash for each try");
    }
}

#[tokio::test]
async fn the_right_password_waits_like_a_wrong_one_and_only_where_a_stranger_was_wrong() {
    let world = World::new().await;
    let ann = world.account("ann").await;
    assert_eq!(world.enter(home(), at(0), "ann", PASSWORD).await, right(ann, &[]));
    for last in 0..40 {
        let tried = world.enter(away(last), at(0), "ann", "wrong").await;
        assert_eq!(matches!(tried, Outcome::Wrong(_)), last < 20, "{last}: {tried:?}");
    }
    let before = world.accounts.hashing.done();
    let tried = world.enter(away(99), at(0), "ann", PASSWORD).await;
    assert!(matches!(tried, Outcome::Wait(_)), "{tried:?}");
    assert_eq!(world.accounts.hashing.done(), before, "nothing is looked at");
    assert_eq!(world.enter(home(), at(0), "ann", PASSWORD).await, right(ann, &[]), "at home");
    let world = world.again(CHEAP).await;
    for last in 0..40 {
        let _tried = world.enter(away(last), at(1), "ann", "wrong").await;
    }
    let tried = world.enter(home(), at(1), "ann", PASSWORD).await;
    assert_eq!(tried, right(ann, &[]), "home is still home after a restart");
    let later = 91 * 24 * 3_600;
    for last in 0..40 {
        let _tried = world.enter(away(last), at(later), "ann", "wrong").await;
    }
    let tried = world.enter(home(), at(later), "ann", PASSWORD).await;
    assert!(matches!(tried, Outcome::Wait(_)), "and forgotten after months: {tried:?}");
}

#[tokio::test]
async fn a_password_alone_does_not_make_a_place_familiar_where_more_is_asked() {
    let world = World::new().await;
    let ann = world.account("ann").await;
    let app = world.app(ann, at(0)).await;
    assert!(matches!(world.enter(away(1), at(30), "ann", PASSWORD).await, Outcome::Right(_)));
    assert_eq!(world.kept(CredentialKind::Place).await, []);
    let code = app.code_at(at(60).wall);
    let on = world.on(away(1), at(60));
    assert_eq!(world.accounts.totp(on, ann, &code).await, Outcome::Right(()));
    assert_eq!(world.kept(CredentialKind::Place).await.len(), 1);
    let on = world.on(away(1), at(90));
    assert_eq!(world.accounts.totp(on, ann, &app.code_at(at(90).wall)).await, Outcome::Right(()));
    assert_eq!(world.kept(CredentialKind::Place).await.len(), 1);
    for last in 2..40 {
        let now = at(30 * i64::from(last) + 60);
        let code = app.code_at(now.wall);
        let proved = world.accounts.totp(world.on(away(last), now), ann, &code).await;
        assert_eq!(proved, Outcome::Right(()));
    }
    assert_eq!(world.kept(CredentialKind::Place).await.len(), 16, "places are bounded");
}

#[tokio::test]
async fn a_hash_that_is_too_cheap_is_made_anew_when_its_password_comes() {
    let world = World::new().await;
    let ann = world.account("ann").await;
    let world = world.again(Cost { passes: 2, ..CHEAP }).await;
    assert_eq!(world.enter(home(), at(0), "ann", "wrong").await, Outcome::Wrong(Some(ann)));
    assert!(world.kept(CredentialKind::Password).await[0].body.contains("t=1"));
    assert_eq!(world.enter(home(), at(0), "ann", PASSWORD).await, right(ann, &[]));
    assert!(world.kept(CredentialKind::Password).await[0].body.contains("t=2"));
    assert_eq!(world.enter(home(), at(0), "ann", PASSWORD).await, right(ann, &[]));
}

#[tokio::test]
async fn a_code_is_asked_for_and_good_for_once() {
    let world = World::new().await;
    let (ann, bob) = (world.account("ann").await, world.account("bob").await);
    let app = world.app(ann, at(0)).await;
    assert_eq!(
        world.enter(home(), at(30), "ann", PASSWORD).await,
        right(ann, &[SecondFactor::Totp])
    );
    let code = app.code_at(at(60).wall);
    let totp = |now, object, code: &str| {
        let (on, code) = (world.on(home(), now), code.to_owned());
        let accounts = &world.accounts;
        async move { accounts.totp(on, object, &code).await }
    };
    assert_eq!(totp(at(60), bob, &code).await, Outcome::Wrong(Some(bob)), "another's");
    assert_eq!(totp(at(60), ann, &code).await, Outcome::Right(()));
    assert_eq!(totp(at(60), ann, &code).await, Outcome::Wrong(Some(ann)), "a second time");
    let set_up = app.code_at(at(0).wall);
    assert_eq!(totp(at(20), ann, &set_up).await, Outcome::Wrong(Some(ann)), "the one of set-up");
    let row = world.kept(CredentialKind::Totp).await.remove(0);
    let secret = data_encoding::BASE32_NOPAD.encode(&app.0);
    assert!(!row.body.contains(&secret) && !row.body.contains(&hex::encode(app.0)), "sealed");
    // Two at once with the same code: one is let in.
    let code = app.code_at(at(120).wall);
    let both = tokio::join!(totp(at(120), ann, &code), totp(at(120), ann, &code));
    let rights = [both.0, both.1].into_iter().filter(|one| *one == Outcome::Right(())).count();
    assert_eq!(rights, 1);
    let world = world.again(CHEAP).await;
    let on = world.on(home(), at(120));
    assert_eq!(world.accounts.totp(on, ann, &code).await, Outcome::Wrong(Some(ann)), "nor later");
}

#[tokio::test]
async fn codes_cannot_be_tried_through() {
    let world = World::new().await;
    let ann = world.account("ann").await;
    let app = world.app(ann, at(0)).await;
    let mut looked_at = 0;
    // A day of tries from ever new addresses, with the right password each time.
    for second in (60..86_400).step_by(60) {
        let from = IpAddr::from(u32::try_from(second).expect("small").to_be_bytes());
        let on = world.on(from, at(second));
        match world.accounts.totp(on, ann, "000000").await {
            Outcome::Wrong(_) => looked_at += 1,
            Outcome::Wait(_) => {}
            other @ (Outcome::Right(()) | Outcome::Busy) => panic!("{other:?}"),
        }
    }
    assert!(looked_at < 60, "{looked_at}");
    let on = world.on(away(1), at(86_400));
    let right = world.accounts.totp(on, ann, &app.code_at(at(86_400).wall)).await;
    assert!(matches!(right, Outcome::Wait(_)), "also the right one waits: {right:?}");
}

#[tokio::test]
async fn an_app_is_set_up_with_its_first_code_in_time_and_for_its_account() {
    let world = World::new().await;
    let (ann, bob) = (world.account("ann").await, world.account("bob").await);
    let proposal = world.accounts.propose_totp(ann, at(0)).expect("a proposal");
    let text = proposal.typed.replace(' ', "");
    let secret = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).expect("base32");
    let secret = Secret(secret.try_into().expect("its length"));
    for (what, object, now, code) in [
        ("another's proposal", bob, at(10), secret.code_at(at(10).wall)),
        ("a wrong code", ann, at(10), "000000".to_owned()),
        ("too late", ann, at(900), secret.code_at(at(900).wall)),
    ] {
        let on = world.on(home(), now);
        let set = world.accounts.confirm_totp(on, object, &proposal.sealed, &code).await;
        assert!(set.is_err(), "{what}");
    }
    assert_eq!(world.accounts.second_factors(ann), []);
    let (on, code) = (world.on(home(), at(10)), secret.code_at(at(10).wall));
    world.accounts.confirm_totp(on, ann, &proposal.sealed, &code).await.expect("set");
    assert_eq!(world.accounts.second_factors(ann), [SecondFactor::Totp]);
    // A proposal cannot be put into the place of an account's own secret.
    let sealed = &proposal.sealed;
    assert!(world.accounts.seal.unseal(CredentialKind::Totp, &ann.to_string(), sealed).is_err());
}

#[tokio::test]
async fn a_recovery_code_is_the_way_back_once() {
    let world = World::new().await;
    let (ann, bob) = (world.account("ann").await, world.account("bob").await);
    let _app = world.app(ann, at(0)).await;
    let codes =
        world.accounts.new_recovery_codes(world.on(home(), at(0)), ann).await.expect("codes");
    let second = [SecondFactor::Totp, SecondFactor::RecoveryCode];
    assert_eq!(world.enter(home(), at(0), "ann", PASSWORD).await, right(ann, &second));
    let recover = |object, code: &str| {
        let (on, code) = (world.on(home(), at(0)), code.to_owned());
        let accounts = &world.accounts;
        async move { accounts.recovery_code(on, object, &code).await }
    };
    assert_eq!(recover(bob, &codes[0]).await, Outcome::Wrong(Some(bob)));
    assert_eq!(recover(ann, &codes[0]).await, Outcome::Right(9));
    assert_eq!(recover(ann, &codes[0]).await, Outcome::Wrong(Some(ann)));
    assert_eq!(recover(ann, "aaaa").await, Outcome::Wrong(Some(ann)));
    let new = world.accounts.new_recovery_codes(world.on(home(), at(0)), ann).await.expect("codes");
    assert_eq!(recover(ann, &codes[1]).await, Outcome::Wrong(Some(ann)), "the old ones are gone");
    assert_eq!(recover(ann, &new[0]).await, Outcome::Right(9));
    for row in world.kept(CredentialKind::RecoveryCode).await {
        assert!(!new.contains(&row.id) && row.body.is_empty());
    }
    let on = world.on(home(), at(0));
    world.accounts.remove_factor(on, ann, CredentialKind::Totp, "").await.expect("removed");
    assert_eq!(world.accounts.factors(ann).recovery_codes, 0, "they go with the last factor");
    assert_eq!(world.enter(home(), at(0), "ann", PASSWORD).await, right(ann, &[]));
}

#[tokio::test]
async fn a_passkey_signs_in_alone_and_as_a_second_factor() {
    let world = World::new().await;
    let (ann, bob) = (world.account("ann").await, world.account("bob").await);
    let mut device = world.passkey(ann, b"one").await;
    assert_eq!(
        world.enter(home(), at(0), "ann", PASSWORD).await,
        right(ann, &[SecondFactor::Passkey])
    );
    assert_eq!(world.use_passkey(&device, Purpose::SignIn, at(1)).await, Ok(ann));
    assert_eq!(world.use_passkey(&device, Purpose::Prove(ann), at(1)).await, Ok(ann));
    let unknown = Err(PasskeyFault::Unknown);
    assert_eq!(world.use_passkey(&device, Purpose::Prove(bob), at(1)).await, unknown);
    let options = world.options(Purpose::SignIn, at(1));
    assert_eq!(options["allowCredentials"], serde_json::json!([]), "nobody's are told");
    // A flow that was answered is not answered again.
    let sent = device.get(&options).to_string();
    let first = world.accounts.passkey(world.on(home(), at(1)), Purpose::SignIn, sent.as_bytes());
    assert_eq!(first.await, Ok(ann));
    let again = world.accounts.passkey(world.on(home(), at(1)), Purpose::SignIn, sent.as_bytes());
    assert!(matches!(again.await, Err(PasskeyFault::Challenge(_))));
    device.flags = 1;
    let not_verified = Err(PasskeyFault::NotVerified);
    assert_eq!(world.use_passkey(&device, Purpose::SignIn, at(1)).await, not_verified);
    device.flags = 5;
    device.counter = 9;
    assert_eq!(world.use_passkey(&device, Purpose::SignIn, at(1)).await, Ok(ann));
    let world = world.again(CHEAP).await;
    let copied = Err(PasskeyFault::Copied);
    assert_eq!(world.use_passkey(&device, Purpose::SignIn, at(1)).await, copied, "it counted");
    device.counter = 10;
    assert_eq!(world.use_passkey(&device, Purpose::SignIn, at(1)).await, Ok(ann));
    let id = world.accounts.factors(ann).passkeys[0].id.clone();
    let gone =
        world.accounts.remove_factor(world.on(home(), at(2)), bob, CredentialKind::Passkey, &id);
    assert!(matches!(gone.await, Err(AccountFault::NotFound)), "another's");
    let on = world.on(home(), at(2));
    world.accounts.remove_factor(on, ann, CredentialKind::Passkey, &id).await.expect("removed");
    device.counter = 11;
    assert_eq!(world.use_passkey(&device, Purpose::SignIn, at(3)).await, unknown);
}

#[tokio::test]
async fn a_passkey_of_somebody_else_is_not_taken_over() {
    let world = World::new().await;
    let (ann, bob) = (world.account("ann").await, world.account("bob").await);
    let device = world.passkey(ann, b"one").await;
    let mut thief = Device::at(ORIGIN, "gate.example.com", b"one");
    let options = world.accounts.new_passkey_options(bob, at(0)).expect("an account");
    let sent = thief.create(&options.expect("a name")).to_string();
    let on = world.on(home(), at(0));
    let taken = world.accounts.add_passkey(on, bob, "Key", sent.as_bytes()).await;
    assert!(matches!(taken, Err(AccountFault::Passkey(PasskeyFault::Unknown))), "{taken:?}");
    assert_eq!(world.use_passkey(&device, Purpose::SignIn, at(1)).await, Ok(ann));
    // Nor is an answer to another's options one's own.
    let options = world.accounts.new_passkey_options(ann, at(0)).expect("an account");
    let mut other = Device::at(ORIGIN, "gate.example.com", b"two");
    let sent = other.create(&options.expect("a name")).to_string();
    let on = world.on(home(), at(0));
    let taken = world.accounts.add_passkey(on, bob, "Key", sent.as_bytes()).await;
    assert!(matches!(taken, Err(AccountFault::Passkey(PasskeyFault::Challenge(_)))), "{taken:?}");
}

#[tokio::test]
async fn the_first_administrator_comes_by_a_link_once_within_an_hour() {
    let world = World::new().await;
    let old = world.accounts.first_link(world.on(home(), at(0))).await.expect("a link");
    let secret = world.accounts.first_link(world.on(home(), at(1))).await.expect("a link");
    assert_eq!(world.accounts.link(&old, at(1)), None, "a new one takes the old one's place");
    let link = world.accounts.link(&secret, at(2)).expect("a link");
    assert_eq!(link.purpose, LinkPurpose::FirstAdministrator);
    let hour = i64::try_from(FIRST_LINK_LIFE.as_secs()).expect("short");
    assert_eq!(world.accounts.link(&secret, at(1 + hour)), None);
    let on = world.on(home(), at(2));
    let used = world.accounts.use_link(on, &link, PASSWORD).await;
    assert!(matches!(used, Err(AccountFault::NotFound)), "it is for no account: {used:?}");
    let draft = world.accounts.draft_first(&link, "root", "Root").expect("a draft");
    let again = world.accounts.draft_first(&link, "admin", "Root").expect("a draft");
    assert_eq!(draft.object, again.object, "who tries twice is one person");
    let object = draft.object;
    let make =
        |draft, now| world.accounts.make_first(world.on(home(), now), &link, draft, PASSWORD);
    let late = make(draft.clone(), at(1 + hour)).await;
    assert!(matches!(late, Err(AccountFault::Link)), "{late:?}");
    let bad =
        world.accounts.make_first(world.on(home(), at(2)), &link, draft.clone(), "short").await;
    assert!(matches!(bad, Err(AccountFault::Password(_))), "{bad:?}");
    make(draft, at(3)).await.expect("made");
    let used = make(again, at(4)).await;
    assert!(matches!(used, Err(AccountFault::Link)), "{used:?}");
    assert_eq!(world.accounts.link(&secret, at(4)), None);
    assert_eq!(world.enter(home(), at(5), "root", PASSWORD).await, right(object, &[]));
    for row in world.kept(CredentialKind::Link).await {
        assert!(!row.id.contains(&secret));
    }
}

#[tokio::test]
async fn a_link_sets_one_accounts_password_once() {
    let world = World::new().await;
    let draft = world.accounts.draft("ann", "Ann").expect("a draft");
    let secret = world.accounts.make(world.on(home(), at(0)), draft).await.expect("made");
    let day = i64::try_from(LINK_LIFE.as_secs()).expect("short");
    assert_eq!(world.accounts.link(&secret, at(day)), None);
    assert_eq!(world.accounts.link("hg~AAAA", at(0)), None);
    let link = world.accounts.link(&secret, at(1)).expect("a link");
    let set = |now, password| world.accounts.use_link(world.on(home(), now), &link, password);
    assert!(matches!(set(at(1), "ann").await, Err(AccountFault::Password(_))));
    let both = tokio::join!(set(at(1), PASSWORD), set(at(1), "another good password"));
    assert!(both.0.is_ok() != both.1.is_ok(), "one of two at once");
    assert!(matches!(set(at(2), PASSWORD).await, Err(AccountFault::Link)));
}

#[tokio::test]
async fn names_are_one_accounts() {
    let world = World::new().await;
    let drafts = ["ann", "ANN"].map(|name| world.accounts.draft(name, "").expect("a draft"));
    let [one, two] = drafts.map(|draft| world.accounts.make(world.on(home(), at(0)), draft));
    let both = tokio::join!(one, two);
    assert!(both.0.is_ok() != both.1.is_ok(), "one of two at once");
    assert!(matches!(world.accounts.draft("Ann", ""), Err(AccountFault::NameTaken(_))));
    assert!(matches!(world.accounts.draft("", ""), Err(AccountFault::Name(_))));
    assert!(matches!(world.accounts.draft("bob", "\u{202e}"), Err(AccountFault::Display)));
    let long = "x".repeat(257);
    assert!(matches!(world.accounts.draft("bob", &long), Err(AccountFault::Display)));
    let listed = world.accounts.list();
    assert_eq!(listed.len(), 1);
    assert!(!listed[0].has_password && !listed[0].has_second_factor);
}

#[tokio::test]
async fn people_come_in_while_the_store_is_gone_and_no_code_comes_twice() {
    let world = World::new().await;
    let ann = world.account("ann").await;
    let app = world.app(ann, at(0)).await;
    world.store.close().await;
    assert_eq!(
        world.enter(home(), at(30), "ann", PASSWORD).await,
        right(ann, &[SecondFactor::Totp])
    );
    let code = app.code_at(at(60).wall);
    let on = world.on(home(), at(60));
    assert_eq!(world.accounts.totp(on, ann, &code).await, Outcome::Right(()));
    let on = world.on(home(), at(60));
    assert_eq!(world.accounts.totp(on, ann, &code).await, Outcome::Wrong(Some(ann)));
    let on = world.on(home(), at(60));
    let set = world.accounts.set_password(on, ann, "another good password").await;
    assert!(matches!(set, Err(AccountFault::Vault(_))), "what lets somebody in is kept first");
    let on = world.on(home(), at(60));
    assert!(world.accounts.new_recovery_codes(on, ann).await.is_err());
    assert_eq!(world.accounts.factors(ann).recovery_codes, 0);
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_memory_and_disk_the_same() {
    let world = World::new().await;
    let ann = world.account("ann").await;
    let mut changing = Box::pin(world.accounts.new_recovery_codes(world.on(home(), at(0)), ann));
    // Polled once, and dropped while the store writes.
    let polled = std::future::poll_fn(|context| {
        std::task::Poll::Ready(changing.as_mut().poll(context).is_pending())
    });
    let was_pending = polled.await;
    drop(changing);
    // Whoever changes the same account next comes after it.
    drop(world.accounts.vault.hold(ann).await);
    assert!(was_pending);
    let kept = world.kept(CredentialKind::RecoveryCode).await.len();
    assert_eq!(world.accounts.factors(ann).recovery_codes, kept);
    assert_eq!(kept, 10);
}
