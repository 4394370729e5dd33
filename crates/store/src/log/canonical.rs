//! Canonical JSON, written in one go: keys sorted by their bytes, no whitespace, integers only. What tells of
//! a person is handed out where it stands, and a commitment takes its place.

use std::{borrow::Cow, fmt};

use serde::ser::{self, Serialize, Serializer};

/// Why something has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError<E> {
    /// JSON cannot say it, or this form of it does not allow it.
    #[error("no canonical JSON: {0}")]
    Json(String),
    /// A commitment cannot be made.
    #[error("no commitment")]
    Commit(E),
}

impl<E: fmt::Debug + fmt::Display> ser::Error for CanonicalError<E> {
    fn custom<T: fmt::Display>(message: T) -> CanonicalError<E> {
        CanonicalError::Json(message.to_string())
    }
}

/// Takes a text that tells of a person, and the JSON pointer to where it stands; gives what is written there.
pub(super) trait Commit {
    /// Why there is no commitment.
    type Error: fmt::Debug + fmt::Display;

    /// The commitment, in hexadecimal.
    fn commit(&mut self, path: &str, text: String) -> Result<String, Self::Error>;
}

/// Writes a value.
pub(super) fn to_vec<C: Commit>(
    value: &impl Serialize,
    commit: &mut C,
) -> Result<Vec<u8>, CanonicalError<C::Error>> {
    let mut writer =
        Writer { out: Vec::with_capacity(1024), path: String::new(), spare: Vec::new(), commit };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

struct Writer<'c, C> {
    out: Vec<u8>,
    /// The JSON pointer (RFC 6901) to what is being written.
    path: String,
    /// Where an object's members are put in order.
    spare: Vec<u8>,
    commit: &'c mut C,
}

type Written<C> = Result<(), CanonicalError<<C as Commit>::Error>>;

impl<C: Commit> Writer<'_, C> {
    fn scalar(&mut self, value: &(impl Serialize + ?Sized)) -> Written<C> {
        serde_json::to_writer(&mut self.out, value)
            .map_err(|error| CanonicalError::Json(error.to_string()))
    }

    /// Writes what stands under `segment` of where we are.
    fn below(&mut self, segment: &str, value: &(impl Serialize + ?Sized)) -> Written<C> {
        let length = self.enter(segment);
        let written = value.serialize(&mut *self);
        self.path.truncate(length);
        written
    }

    /// Goes down the path; says how long it was.
    fn enter(&mut self, segment: &str) -> usize {
        let length = self.path.len();
        self.path.push('/');
        for part in segment.chars() {
            match part {
                '~' => self.path.push_str("~0"),
                '/' => self.path.push_str("~1"),
                other => self.path.push(other),
            }
        }
        length
    }
}

/// An array that is being written.
struct Items<'a, 'c, C> {
    writer: &'a mut Writer<'c, C>,
    count: usize,
    /// How much of the path is left after it.
    path: usize,
    /// What stands after it.
    close: &'static str,
}

impl<C: Commit> Items<'_, '_, C> {
    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Written<C> {
        if self.count > 0 {
            self.writer.out.push(b',');
        }
        let place = self.count.to_string();
        self.count += 1;
        self.writer.below(&place, value)
    }

    fn end(self) -> Written<C> {
        self.writer.path.truncate(self.path);
        self.writer.out.extend_from_slice(self.close.as_bytes());
        Ok(())
    }
}

/// An object that is being written: its members stand in the order in which they came until its end.
struct Members<'a, 'c, C> {
    writer: &'a mut Writer<'c, C>,
    begin: usize,
    members: Vec<Member>,
    key: Option<String>,
    /// How much of the path is left after it.
    path: usize,
    /// What stands after it.
    close: &'static str,
}

struct Member {
    key: Cow<'static, str>,
    /// Where key, colon and value begin and end.
    begin: usize,
    end: usize,
}

impl<C: Commit> Members<'_, '_, C> {
    fn member(&mut self, key: Cow<'static, str>, value: &(impl Serialize + ?Sized)) -> Written<C> {
        let begin = self.writer.out.len();
        self.writer.scalar(&*key)?;
        self.writer.out.push(b':');
        self.writer.below(&key, value)?;
        self.members.push(Member { key, begin, end: self.writer.out.len() });
        Ok(())
    }

    fn end(mut self) -> Written<C> {
        if let [only] = self.members.as_slice()
            && only.key == "personal"
        {
            let value = only.begin + r#""personal":"#.len();
            let text = self.writer.out.get(value..).map(serde_json::from_slice::<String>);
            if let Some(Ok(text)) = text {
                return self.commit(text);
            }
        }
        self.members.sort_by(|one, other| one.key.as_bytes().cmp(other.key.as_bytes()));
        let Writer { out, spare, .. } = &mut *self.writer;
        spare.clear();
        for (place, member) in self.members.iter().enumerate() {
            if place > 0 {
                spare.push(b',');
            }
            spare.extend_from_slice(out.get(member.begin..member.end).unwrap_or_default());
        }
        out.truncate(self.begin);
        out.push(b'{');
        out.extend_from_slice(spare);
        out.push(b'}');
        self.close();
        Ok(())
    }

    /// The object is `{"personal": TEXT}`: what it tells is handed out.
    fn commit(self, text: String) -> Written<C> {
        let commitment = self.writer.commit.commit(&self.writer.path, text);
        let commitment = commitment.map_err(CanonicalError::Commit)?;
        self.writer.out.truncate(self.begin);
        self.writer.out.extend_from_slice(br#"{"commitment":"#);
        self.writer.scalar(&commitment)?;
        self.writer.out.push(b'}');
        self.close();
        Ok(())
    }

    fn close(self) {
        self.writer.path.truncate(self.path);
        self.writer.out.extend_from_slice(self.close.as_bytes());
    }
}

macro_rules! scalars {
    ($($name:ident: $ty:ty),+) => {$(
        fn $name(self, value: $ty) -> Written<C> {
            self.scalar(&value)
        }
    )+};
}

impl<'a, 'c, C: Commit> Serializer for &'a mut Writer<'c, C> {
    type Ok = ();
    type Error = CanonicalError<C::Error>;
    type SerializeSeq = Items<'a, 'c, C>;
    type SerializeTuple = Items<'a, 'c, C>;
    type SerializeTupleStruct = Items<'a, 'c, C>;
    type SerializeTupleVariant = Items<'a, 'c, C>;
    type SerializeMap = Members<'a, 'c, C>;
    type SerializeStruct = Members<'a, 'c, C>;
    type SerializeStructVariant = Members<'a, 'c, C>;

    scalars!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_u128: u128, serialize_char: char,
        serialize_str: &str);

    fn serialize_f32(self, value: f32) -> Written<C> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Written<C> {
        // Two programs write one fraction differently.
        Err(CanonicalError::Json(format!("{value} is no integer")))
    }

    fn serialize_bytes(self, value: &[u8]) -> Written<C> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Written<C> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<C> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written<C> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Written<C> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Written<C> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Written<C> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Written<C> {
        let mut members = self.serialize_map(None)?;
        members.member(Cow::Borrowed(variant), value)?;
        members.end()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Items<'a, 'c, C>, Self::Error> {
        self.out.push(b'[');
        let path = self.path.len();
        Ok(Items { writer: self, count: 0, path, close: "]" })
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<'a, 'c, C>, Self::Error> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Items<'a, 'c, C>, Self::Error> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Items<'a, 'c, C>, Self::Error> {
        self.out.push(b'{');
        self.scalar(variant)?;
        self.out.extend_from_slice(b":[");
        let path = self.enter(variant);
        Ok(Items { writer: self, count: 0, path, close: "]}" })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Members<'a, 'c, C>, Self::Error> {
        let (begin, path) = (self.out.len(), self.path.len());
        Ok(Members { writer: self, begin, members: Vec::new(), key: None, path, close: "" })
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Members<'a, 'c, C>, Self::Error> {
        self.serialize_map(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Members<'a, 'c, C>, Self::Error> {
        self.out.push(b'{');
        self.scalar(variant)?;
        self.out.push(b':');
        let path = self.enter(variant);
        let members = self.serialize_map(Some(length))?;
        Ok(Members { path, close: "}", ..members })
    }
}

macro_rules! items {
    ($($of:ident: $step:ident),+) => {$(
        impl<C: Commit> ser::$of for Items<'_, '_, C> {
            type Ok = ();
            type Error = CanonicalError<C::Error>;

            fn $step<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<C> {
                self.item(value)
            }

            fn end(self) -> Written<C> {
                Items::end(self)
            }
        }
    )+};
}

items!(SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);

macro_rules! fields {
    ($($of:ident),+) => {$(
        impl<C: Commit> ser::$of for Members<'_, '_, C> {
            type Ok = ();
            type Error = CanonicalError<C::Error>;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Written<C> {
                self.member(Cow::Borrowed(key), value)
            }

            fn end(self) -> Written<C> {
                Members::end(self)
            }
        }
    )+};
}

fields!(SerializeStruct, SerializeStructVariant);

impl<C: Commit> ser::SerializeMap for Members<'_, '_, C> {
    type Ok = ();
    type Error = CanonicalError<C::Error>;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written<C> {
        match serde_json::to_value(key) {
            Ok(serde_json::Value::String(key)) => {
                self.key = Some(key);
                Ok(())
            }
            Ok(other) => Err(CanonicalError::Json(format!("{other} is no key"))),
            Err(error) => Err(CanonicalError::Json(error.to_string())),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<C> {
        match self.key.take() {
            Some(key) => self.member(Cow::Owned(key), value),
            None => Err(CanonicalError::Json("a value without its key".to_owned())),
        }
    }

    fn end(self) -> Written<C> {
        Members::end(self)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible};

    use serde::Serialize;
    use serde_json::{Value, json};

    use super::{CanonicalError, Commit, to_vec};

    /// Keeps what is handed out, and writes its number instead.
    #[derive(Default)]
    struct Kept(Vec<(String, String)>);

    impl Commit for Kept {
        type Error = Infallible;

        fn commit(&mut self, path: &str, text: String) -> Result<String, Infallible> {
            self.0.push((path.to_owned(), text));
            Ok(format!("{:02}", self.0.len()))
        }
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        Unit,
        New(Value),
        Two(u8, Value),
        Named { z: Value, a: Option<i64> },
    }

    #[derive(Serialize)]
    struct All {
        zeta: Vec<Kind>,
        alpha: BTreeMap<String, Value>,
        text: &'static str,
        pair: (i128, char),
    }

    fn all() -> All {
        let who = |name: &str| json!({ "personal": name });
        All {
            zeta: vec![
                Kind::Unit,
                Kind::New(who("ann")),
                Kind::Two(7, json!([who("bob"), { "b": 1, "a": who("c\"d\u{1}é") }])),
                Kind::Named { z: who("eve"), a: None },
            ],
            alpha: BTreeMap::from([
                ("a/b~c".to_owned(), who("dan")),
                ("personal".to_owned(), json!(true)),
                ("".to_owned(), json!({ "personal": 5 })),
            ]),
            text: "quote \" slash / back \\ bell \u{7} line \n",
            pair: (-170_141_183_460_469_231_731_687_303_715_884_105_728, 'ß'),
        }
    }

    #[test]
    fn keys_are_sorted_and_people_are_handed_out() {
        let mut kept = Kept::default();
        let written = to_vec(&all(), &mut kept).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            r#"{"alpha":{"":{"personal":5},"a/b~c":{"commitment":"05"},"personal":true},"pair":[-170141183460469231731687303715884105728,"ß"],"text":"quote \" slash / back \\ bell \u0007 line \n","zeta":["unit",{"new":{"commitment":"01"}},{"two":[7,[{"commitment":"02"},{"a":{"commitment":"03"},"b":1}]]},{"named":{"a":null,"z":{"commitment":"04"}}}]}"#
        );
        let told = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        assert_eq!(
            kept.0,
            [
                told("/zeta/1/new", "ann"),
                told("/zeta/2/two/1/0", "bob"),
                told("/zeta/2/two/1/1/a", "c\"d\u{1}é"),
                told("/zeta/3/named/z", "eve"),
                told("/alpha/a~1b~0c", "dan"),
            ]
        );
    }

    #[test]
    fn what_is_handed_out_stands_where_it_says() {
        let mut kept = Kept::default();
        let written = to_vec(&all(), &mut kept).unwrap();
        let value: Value = serde_json::from_slice(&written).unwrap();
        for (place, (path, _)) in kept.0.iter().enumerate() {
            let commitment = json!({ "commitment": format!("{:02}", place + 1) });
            assert_eq!(value.pointer(path), Some(&commitment), "{path}");
        }
    }

    #[test]
    fn no_fraction_gets_into_a_record() {
        assert!(matches!(
            to_vec(&json!({ "half": 0.5 }), &mut Kept::default()),
            Err(CanonicalError::Json(_))
        ));
    }
}
