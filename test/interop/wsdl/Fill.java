import java.lang.reflect.*;
import java.math.*;
import java.util.*;
import javax.xml.datatype.DatatypeFactory;
import javax.xml.namespace.QName;
import javax.xml.parsers.*;
import org.w3c.dom.*;

/** Fills the objects of generated classes from a sample message, by the names of its elements. */
final class Fill {
    /** The Body's only child of a sample. */
    static Element body(String file) throws Exception {
        DocumentBuilderFactory f = DocumentBuilderFactory.newInstance();
        f.setNamespaceAware(true);
        Document d = f.newDocumentBuilder().parse(file);
        for (Element e : children(d.getDocumentElement())) if (e.getLocalName().equals("Body")) return children(e).get(0);
        throw new Exception(file + ": no Body");
    }

    static List<Element> children(Element e) {
        List<Element> all = new ArrayList<>();
        for (Node n = e.getFirstChild(); n != null; n = n.getNextSibling()) if (n instanceof Element) all.add((Element) n);
        return all;
    }

    static String plain(String name) { return name.replace("_", "").toLowerCase(Locale.ROOT); }

    static Method setter(Class<?> type, String name, String verb) {
        for (Method m : type.getMethods())
            if (plain(m.getName()).equals(verb + plain(name)) && m.getParameterCount() == (verb.equals("set") ? 1 : 0)) return m;
        return null;
    }

    static Object make(Type generic, Element e) throws Exception {
        if (generic instanceof ParameterizedType) { // JAXBElement<T>: optional and nillable
            Class<?> of = (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
            return ((Class<?>) ((ParameterizedType) generic).getRawType()).getConstructor(QName.class, Class.class, Object.class)
                .newInstance(new QName(e.getLocalName()), of, make(of, e));
        }
        Class<?> type = (Class<?>) generic;
        if (type.isArray()) { // a list that is the whole of its element
            List<Element> items = children(e);
            Object a = Array.newInstance(type.getComponentType(), items.size());
            for (int i = 0; i < items.size(); i++) Array.set(a, i, make(type.getComponentType(), items.get(i)));
            return a;
        }
        String text = e.getTextContent();
        if (type == String.class) return text;
        if (type == int.class || type == Integer.class) return Integer.valueOf(text);
        if (type == boolean.class || type == Boolean.class) return Boolean.valueOf(text);
        if (type == BigDecimal.class) return new BigDecimal(text);
        if (type == BigInteger.class) return new BigInteger(text);
        if (type == javax.xml.datatype.XMLGregorianCalendar.class) return DatatypeFactory.newInstance().newXMLGregorianCalendar(text);
        GregorianCalendar at = text.matches("\\d{4}-.*") ? DatatypeFactory.newInstance().newXMLGregorianCalendar(text).toGregorianCalendar() : null;
        if (type == Calendar.class) return at;
        if (type == Date.class) return at.getTime();
        for (Method m : type.getMethods()) // an enumeration
            if (m.getName().equals("fromValue") && m.getParameterCount() == 1) return m.invoke(null, make(m.getParameterTypes()[0], e));
        try {
            return type.getConstructor(String.class).newInstance(text); // Axis's own types
        } catch (NoSuchMethodException no) { /* a bean */ }
        Object bean = type.getConstructor().newInstance();
        Map<String, List<Element>> groups = new LinkedHashMap<>();
        for (Element c : children(e)) groups.computeIfAbsent(c.getLocalName(), n -> new ArrayList<>()).add(c);
        for (List<Element> group : groups.values()) set(bean, group);
        return bean;
    }

    @SuppressWarnings("unchecked")
    static void set(Object bean, List<Element> group) throws Exception {
        String name = group.get(0).getLocalName();
        Method set = setter(bean.getClass(), name, "set");
        if (set == null) { // JAXB: a list is got and filled
            Method get = setter(bean.getClass(), name, "get");
            if (get == null) throw new Exception(bean.getClass() + " has no " + name);
            Type item = ((ParameterizedType) get.getGenericReturnType()).getActualTypeArguments()[0];
            for (Element e : group) ((List<Object>) get.invoke(bean)).add(make(item, e));
            return;
        }
        Class<?> type = set.getParameterTypes()[0];
        boolean whole = group.size() == 1 && !children(group.get(0)).isEmpty() && type.isArray() &&
            setter(type.getComponentType(), children(group.get(0)).get(0).getLocalName(), "set") == null;
        if (!type.isArray() || whole) {
            set.invoke(bean, make(set.getGenericParameterTypes()[0], group.get(0)));
            return;
        }
        Object a = Array.newInstance(type.getComponentType(), group.size());
        for (int i = 0; i < group.size(); i++) Array.set(a, i, make(type.getComponentType(), group.get(i)));
        set.invoke(bean, a);
    }

    /** Calls a method of a stub: its parameters are the request, or the children of it and then a holder for each of the answer's. */
    static void call(Object stub, String operation, Element request) throws Exception {
        for (Method m : stub.getClass().getMethods()) {
            if (!m.getName().equals(operation)) continue;
            Class<?>[] types = m.getParameterTypes();
            Object[] values = new Object[types.length];
            List<Element> parts = children(request);
            boolean bare = types.length == 1 && !plain(types[0].getSimpleName()).equals(plain("Search" + parts.get(0).getLocalName()));
            for (int i = 0; i < types.length; i++)
                values[i] = bare ? make(types[i], request) : i < parts.size() ? make(types[i], parts.get(i)) : types[i].getConstructor().newInstance();
            m.invoke(stub, values);
            return;
        }
        throw new Exception("no operation " + operation);
    }

    static final String[] SERVICES = {"Annuaire", "RocIdb", "RocSim", "RocClc", "RocAnl"};

    static String service(String name, String version) { return name.equals("Annuaire") ? name : name + version; }
}
