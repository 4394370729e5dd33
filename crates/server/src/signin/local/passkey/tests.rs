use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};

use super::{
    authenticator::{Device, encode},
    challenge::{Challenges, Purpose},
    *,
};

const ANN: Uuid = Uuid::from_u128(1);
const ORIGIN: &str = "https://gate.example.com:8443";

fn party() -> RelyingParty {
    RelyingParty::of(ORIGIN).expect("a name")
}

fn device() -> Device {
    Device::at(ORIGIN, "gate.example.com", b"key-1")
}

struct Scene {
    challenges: Challenges,
    device: Device,
}

impl Scene {
    fn new() -> Scene {
        Scene { challenges: Challenges::new().expect("randomness"), device: device() }
    }

    fn options(&self, purpose: Purpose) -> Value {
        let challenge = self.challenges.make(purpose, 0).expect("a challenge");
        match purpose {
            Purpose::Register(object) => {
                party().creation_options(&challenge, object, ("ann", "Ann"), &["other".to_owned()])
            }
            Purpose::SignIn | Purpose::Prove(_) => {
                party().request_options(&challenge, &["a2V5LTE".to_owned()])
            }
        }
    }

    fn register(&self, sent: Value) -> Result<Registered, PasskeyFault> {
        let sent: NewPasskey = serde_json::from_value(sent).expect("of that shape");
        party().register(&sent, |text| self.challenges.check(text, Purpose::Register(ANN), 0))
    }

    fn registered(&mut self) -> Registered {
        let options = self.options(Purpose::Register(ANN));
        let sent = self.device.create(&options);
        self.register(sent).expect("registered")
    }

    fn use_it(&self, known: &Registered, sent: Value) -> Result<Used, PasskeyFault> {
        let sent: UsedPasskey = serde_json::from_value(sent).expect("of that shape");
        let known = Known {
            object: ANN,
            key: &known.key,
            counter: known.counter,
            backup_eligible: known.backup_eligible,
        };
        party().verify(&sent, &known, |text| self.challenges.check(text, Purpose::Prove(ANN), 0))
    }

    fn get(&self) -> Value {
        self.device.get(&self.options(Purpose::Prove(ANN)))
    }
}

#[test]
fn a_passkey_is_registered_and_used() {
    let mut scene = Scene::new();
    let registered = scene.registered();
    assert_eq!(registered.id, "a2V5LTE");
    assert!(registered.user_verified && !registered.backup_eligible);
    let used = scene.use_it(&registered, scene.get()).expect("used");
    assert!(used.user_verified);
    scene.device.flags = 1;
    assert!(!scene.use_it(&registered, scene.get()).expect("used").user_verified);
}

#[test]
fn browsers_are_asked_for_what_is_checked() {
    let scene = Scene::new();
    let options = scene.options(Purpose::Register(ANN));
    assert_eq!(options["rp"]["id"], "gate.example.com");
    assert_eq!(options["user"]["id"], encode(ANN.as_bytes()));
    assert_eq!(options["excludeCredentials"][0]["id"], "other");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    let options = scene.options(Purpose::SignIn);
    assert_eq!(options["rpId"], "gate.example.com");
    assert_eq!(options["userVerification"], "required");
    for (base, is_one) in [
        ("https://gate.example.com", true),
        ("https://localhost:8443", true),
        ("https://192.0.2.1:8443", false),
        ("https://[2001:db8::1]", false),
        ("http://gate.example.com", false),
    ] {
        assert_eq!(RelyingParty::of(base).is_some(), is_one, "{base}");
    }
}

#[test]
fn a_registration_for_somebody_else_is_refused() {
    type Change = fn(&mut Device);
    let cases: [(&str, Change, PasskeyFault); 6] = [
        (
            "another page",
            |d| d.origin = "https://evil.example.com".to_owned(),
            PasskeyFault::OtherSite,
        ),
        (
            "another port",
            |d| d.origin = "https://gate.example.com".to_owned(),
            PasskeyFault::OtherSite,
        ),
        ("another name", |d| d.party = "example.com".to_owned(), PasskeyFault::OtherSite),
        ("in a frame", |d| d.cross_origin = true, PasskeyFault::OtherSite),
        ("nobody there", |d| d.flags = 0b100, PasskeyFault::NobodyPresent),
        ("backed up, and cannot be", |d| d.flags = 0b0001_0101, PasskeyFault::Unreadable),
    ];
    for (what, change, fault) in cases {
        let mut scene = Scene::new();
        change(&mut scene.device);
        let options = scene.options(Purpose::Register(ANN));
        let sent = scene.device.create(&options);
        assert_eq!(scene.register(sent), Err(fault), "{what}");
        // The same holds for its use.
        let mut scene = Scene::new();
        let registered = scene.registered();
        change(&mut scene.device);
        assert_eq!(scene.use_it(&registered, scene.get()), Err(fault), "{what}, used");
    }
}

#[test]
fn what_was_asked_for_something_else_answers_nothing() {
    let mut scene = Scene::new();
    let options = scene.options(Purpose::Register(Uuid::from_u128(2)));
    let sent = scene.device.create(&options);
    let not_ours = Err(PasskeyFault::Challenge(BadChallenge::NotOurs));
    assert_eq!(scene.register(sent), not_ours, "another account's");
    let registered = scene.registered();
    let sent = scene.device.get(&scene.options(Purpose::SignIn));
    let not_ours = Err(PasskeyFault::Challenge(BadChallenge::NotOurs));
    assert_eq!(scene.use_it(&registered, sent), not_ours, "to sign in");
    // A registration's client data does for no sign-in.
    let mut sent = scene.get();
    let options = scene.options(Purpose::Prove(ANN));
    let other =
        scene.device.create_with(options["challenge"].as_str().expect("one"), &scene.device.cose());
    sent["response"]["clientDataJSON"] = other["response"]["clientDataJSON"].clone();
    assert_eq!(scene.use_it(&registered, sent), Err(PasskeyFault::Unreadable));
}

#[test]
fn a_signature_is_over_all_that_was_said() {
    let mut scene = Scene::new();
    let registered = scene.registered();
    let decoded = |value: &Value| part(value.as_str().expect("text")).expect("base64");
    for (what, name, at) in
        [("the counter", "authenticatorData", 36), ("the signature", "signature", 20)]
    {
        let mut sent = scene.get();
        let mut bytes = decoded(&sent["response"][name]);
        bytes[at] ^= 1;
        sent["response"][name] = encode(bytes).into();
        assert_eq!(scene.use_it(&registered, sent), Err(PasskeyFault::WrongSignature), "{what}");
    }
    let mut sent = scene.get();
    let mut data = String::from_utf8(decoded(&sent["response"]["clientDataJSON"])).expect("text");
    data = data.replace("do not compare", "do compare");
    sent["response"]["clientDataJSON"] = encode(data).into();
    assert_eq!(scene.use_it(&registered, sent), Err(PasskeyFault::WrongSignature));
    let other = device();
    let sent = other.get(&scene.options(Purpose::Prove(ANN)));
    assert_eq!(scene.use_it(&registered, sent), Err(PasskeyFault::WrongSignature), "another key");
    let mut sent = scene.get();
    sent["response"]["userHandle"] = encode(Uuid::from_u128(2)).into();
    assert_eq!(scene.use_it(&registered, sent), Err(PasskeyFault::Unreadable), "another's");
}

#[test]
fn one_that_counts_backwards_is_a_copy() {
    let mut scene = Scene::new();
    scene.device.counter = 7;
    let registered = scene.registered();
    for (counter, answer) in [
        (6, Err(PasskeyFault::Copied)),
        (7, Err(PasskeyFault::Copied)),
        (0, Err(PasskeyFault::Copied)),
        (8, Ok(8)),
        (u32::MAX, Ok(u32::MAX)),
    ] {
        scene.device.counter = counter;
        assert_eq!(scene.use_it(&registered, scene.get()).map(|used| used.counter), answer);
    }
    scene.device.flags |= BACKUP_ELIGIBLE;
    assert_eq!(scene.use_it(&registered, scene.get()), Err(PasskeyFault::Copied), "another kind");
}

#[test]
fn keys_of_other_kinds_and_broken_ones_are_not_taken() {
    let scene = Scene::new();
    let good = scene.device.cose();
    let hex = |text: &str| hex::decode(text).expect("hex");
    let mut off_the_curve = good.clone();
    *off_the_curve.last_mut().expect("a byte") ^= 1;
    let mut another_alg = good.clone();
    another_alg[4] = 0x27; // -8 with a key on P-256
    let zero = [hex("a4010103272006215820"), vec![0; 31]].concat();
    for (what, cose, fault) in [
        ("as it should be", good.clone(), None),
        ("off the curve", off_the_curve, Some(PasskeyFault::KeyNotTaken)),
        ("another algorithm's", another_alg, Some(PasskeyFault::KeyNotTaken)),
        ("P-384", hex("a3010203382220022158"), Some(PasskeyFault::Unreadable)),
        (
            "a symmetric key",
            hex("a2010403 05".replace(' ', "").as_str()),
            Some(PasskeyFault::KeyNotTaken),
        ),
        ("no key", hex("a0"), Some(PasskeyFault::KeyNotTaken)),
        ("cut off", zero, Some(PasskeyFault::Unreadable)),
        ("something behind it", [&good[..], &[0]].concat(), Some(PasskeyFault::Unreadable)),
        ("a small RSA key", small_rsa(), Some(PasskeyFault::KeyNotTaken)),
        (
            "twice the same",
            hex("a2010201 02".replace(' ', "").as_str()),
            Some(PasskeyFault::KeyNotTaken),
        ),
    ] {
        let options = scene.options(Purpose::Register(ANN));
        let challenge = options["challenge"].as_str().expect("a challenge");
        let sent = scene.device.create_with(challenge, &cose);
        assert_eq!(scene.register(sent).err(), fault, "{what}");
    }
}

fn small_rsa() -> Vec<u8> {
    let mut cose = hex::decode("a401030339010020588 0".replace(' ', "")).expect("hex");
    cose.extend([0xc1; 128]);
    cose.extend(hex::decode("2143010001").expect("hex"));
    cose
}

#[test]
fn each_kind_of_key_that_is_asked_for_is_taken() {
    let ed25519 = Ed25519KeyPair::generate().expect("a key");
    let mut cose = hex::decode("a4010103272006215820").expect("hex");
    cose.extend_from_slice(ed25519.public_key().as_ref());
    let key = PublicKey::read(&mut Reader::new(&cose)).expect("a key");
    let signature = ed25519.sign(b"message");
    assert!(key.verify(b"message", signature.as_ref()));
    assert!(!key.verify(b"other", signature.as_ref()));

    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let public = rsa.public_key();
    let mut cose = hex::decode("a40103033901002059").expect("hex");
    cose.extend_from_slice(&256_u16.to_be_bytes());
    cose.extend_from_slice(public.modulus().big_endian_without_leading_zero());
    cose.extend_from_slice(&hex::decode("2143").expect("hex"));
    cose.extend_from_slice(public.exponent().big_endian_without_leading_zero());
    let key = PublicKey::read(&mut Reader::new(&cose)).expect("a key");
    let mut signature = vec![0; 256];
    rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"message", &mut signature).expect("signed");
    assert!(key.verify(b"message", &signature));
    assert!(!key.verify(b"other", &signature));
    let kept = serde_json::to_string(&key).expect("text");
    assert_eq!(serde_json::from_str::<PublicKey>(&kept).expect("a key"), key);
}

#[test]
fn what_cannot_be_read_harms_nobody() {
    let mut scene = Scene::new();
    let registered = scene.registered();
    let good = scene.get();
    for name in ["clientDataJSON", "authenticatorData", "signature", "userHandle"] {
        for bad in ["", "%%%", "AA==", "AAAA", &"A".repeat(PART_CHARS_MAX + 4)] {
            let mut sent = good.clone();
            sent["response"][name] = bad.into();
            assert!(scene.use_it(&registered, sent).is_err(), "{name}");
        }
    }
    let options = scene.options(Purpose::Register(ANN));
    let good = scene.device.create(&options);
    let object = part(good["response"]["attestationObject"].as_str().expect("one")).expect("one");
    for end in 0..object.len() {
        let mut sent = good.clone();
        sent["response"]["attestationObject"] = encode(&object[..end]).into();
        assert_eq!(scene.register(sent), Err(PasskeyFault::Unreadable), "cut off at {end}");
    }
}

/// Web Authentication Level 3, section 16.1.1 (W3C): ES256 without attestation, and its use.
#[test]
fn the_examples_of_the_standard_are_read() {
    let bytes = |hex: &str| encode(hex::decode(hex).expect("hex"));
    let party = RelyingParty::of("https://example.org").expect("a name");
    let answer = |challenge: &'static str| {
        move |sent: &str| {
            assert_eq!(sent, encode(hex::decode(challenge).expect("hex")));
            Challenges::new().expect("randomness").check_made()
        }
    };
    let sent = json!({
        "type": "public-key",
        "response": {
            "clientDataJSON": bytes(MADE_CLIENT_DATA),
            "attestationObject": bytes(MADE_ATTESTATION),
        },
    });
    let sent: NewPasskey = serde_json::from_value(sent).expect("of that shape");
    let made = party
        .register(&sent, answer("00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130"))
        .expect("registered");
    let id = bytes("f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4");
    assert_eq!((made.id.as_str(), made.counter, made.user_verified), (id.as_str(), 0, false));
    assert!(made.backup_eligible);
    let sent = json!({
        "id": id,
        "type": "public-key",
        "response": {
            "clientDataJSON": bytes(USED_CLIENT_DATA),
            "authenticatorData":
                bytes("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000"),
            "signature": bytes(USED_SIGNATURE),
        },
    });
    let sent: UsedPasskey = serde_json::from_value(sent).expect("of that shape");
    let known = Known {
        object: ANN,
        key: &made.key,
        counter: made.counter,
        backup_eligible: made.backup_eligible,
    };
    let used = party.verify(
        &sent,
        &known,
        answer("39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408"),
    );
    assert_eq!(used.map(|used| used.counter), Ok(0));
}

impl Challenges {
    /// One that is ours, whatever was asked.
    fn check_made(&self) -> Result<Challenge, BadChallenge> {
        let made = self.make(Purpose::SignIn, 0).expect("a challenge");
        self.check(&made, Purpose::SignIn, 0)
    }
}

const MADE_CLIENT_DATA: &str = "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d";
const MADE_ATTESTATION: &str = "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220";
const USED_CLIENT_DATA: &str = "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d";
const USED_SIGNATURE: &str = "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87";
