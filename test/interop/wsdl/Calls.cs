// .NET: the classes that wsdl.exe makes of a WSDL call every operation. usage: Calls URL VERSION SAMPLES-DIR
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Web.Services.Protocols;
using System.Xml;
using System.Xml.Serialization;

static class Calls
{
    static void Main(string[] a)
    {
        foreach (var name in new[] { "Annuaire", "RocIdb", "RocSim", "RocClc", "RocAnl" })
        {
            var service = name == "Annuaire" ? name : name + a[1];
            var sample = new XmlDocument();
            sample.Load(a[2] + "/" + service + ".xml");
            var request = Children(Children(sample.DocumentElement).First(e => e.LocalName == "Body")).First();
            var type = Assembly.GetExecutingAssembly().GetTypes().First(t => t.Name == service || t.Name == service + "Soap11");
            var stub = (SoapHttpClientProtocol)Activator.CreateInstance(type);
            stub.Url = a[0];
            var method = type.GetMethod(request.LocalName);
            var parts = Children(request).ToList();
            var values = method.GetParameters().Select(p => p.IsOut ? null : Make(p.ParameterType, parts.Where(e => e.LocalName == p.Name).ToList())).ToArray();
            method.Invoke(stub, values);
        }
    }

    static IEnumerable<XmlElement> Children(XmlElement e) { return e.ChildNodes.OfType<XmlElement>(); }

    // Make fills a generated object from the elements of one name.
    static object Make(Type t, List<XmlElement> from)
    {
        if (from.Count == 0) return t.IsValueType ? Activator.CreateInstance(t) : null;
        if (t.IsArray)
        {
            var items = from.Count == 1 && Children(from[0]).Any() && t.GetElementType().GetProperty(Children(from[0]).First().LocalName) == null ? Children(from[0]).ToList() : from;
            var array = Array.CreateInstance(t.GetElementType(), items.Count);
            for (var i = 0; i < items.Count; i++) array.SetValue(Make(t.GetElementType(), new List<XmlElement> { items[i] }), i);
            return array;
        }
        var text = from[0].InnerText;
        if (t.IsEnum) return Enum.Parse(t, t.GetFields().FirstOrDefault(f => f.GetCustomAttributes(typeof(XmlEnumAttribute), false).OfType<XmlEnumAttribute>().Any(x => x.Name == text))?.Name ?? text);
        if (t == typeof(DateTime)) return DateTime.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
        if (t == typeof(string) || t.IsPrimitive || t == typeof(decimal)) return Convert.ChangeType(text, t, CultureInfo.InvariantCulture);
        var o = Activator.CreateInstance(t);
        foreach (var group in Children(from[0]).GroupBy(e => e.LocalName))
        {
            var p = t.GetProperty(group.Key);
            if (p == null) throw new Exception(t.Name + " has no " + group.Key);
            p.SetValue(o, Make(p.PropertyType, group.ToList()), null);
            var said = t.GetProperty(group.Key + "Specified");
            if (said != null) said.SetValue(o, true, null);
        }
        return o;
    }
}
